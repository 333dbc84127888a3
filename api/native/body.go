package native

import (
	"bytes"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"waybill/api"
	"waybill/internal/job"
)

// body is a JSON request body of type T. As a field of an input it reads itself (huma's Resolver), after the caller is
// known and the parameters are there.
type body[T any] struct {
	Value T
}

// looseBody is a body that is read as JSON whatever its label says, when it looks like JSON: the vendor's tutorial
// labels one multipart/form-data (native.md, 1.3).
type looseBody[T any] struct{ Value T }

// optionalBody may be empty.
type optionalBody[T any] struct{ Value T }

// Resolve reads the body.
func (b *body[T]) Resolve(hc huma.Context) []error { return readJSON(hc, &b.Value, false, true) }

// Resolve reads the body.
func (b *looseBody[T]) Resolve(hc huma.Context) []error { return readJSON(hc, &b.Value, true, true) }

// Resolve reads the body.
func (b *optionalBody[T]) Resolve(hc huma.Context) []error {
	return readJSON(hc, &b.Value, false, false)
}

func readJSON(hc huma.Context, into any, loose, needed bool) []error {
	r := api.Gin(hc).Request
	err := api.ReadBody(r, api.MaxJSON, func(text []byte) error {
		trimmed := bytes.TrimLeft(text, " \t\r\n")
		labelled := isJSON(r.Header)
		switch {
		case len(trimmed) == 0 && !needed:
			return nil
		case !labelled && !(loose && len(trimmed) > 0 && trimmed[0] == '{'):
			return job.Errorf(job.Invalid, api.WordUnsupportedMediaType, "The body must be application/json")
		}
		return api.DecodeJSON(text, into)
	})
	if err != nil {
		return []error{err}
	}
	return nil
}

// isJSON tells whether a body is labelled as JSON.
func isJSON(h http.Header) bool {
	label, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (label == "application/json" || strings.HasSuffix(label, "+json"))
}

// documented is a field of an input that describes the request body.
type documented interface {
	describe(op *huma.Operation, r huma.Registry)
}

func (b *body[T]) describe(op *huma.Operation, r huma.Registry)      { describeJSON[T](op, r, true) }
func (b *looseBody[T]) describe(op *huma.Operation, r huma.Registry) { describeJSON[T](op, r, true) }
func (b *optionalBody[T]) describe(op *huma.Operation, r huma.Registry) {
	describeJSON[T](op, r, false)
}

func describeJSON[T any](op *huma.Operation, r huma.Registry, needed bool) {
	op.RequestBody = &huma.RequestBody{Required: needed, Content: map[string]*huma.MediaType{
		"application/json": {Schema: r.Schema(reflect.TypeFor[T](), true, "")},
	}}
}

// documentBody adds the request body to a registered operation's part of the document.
func documentBody(doc *huma.OpenAPI, method, path string, input reflect.Type) {
	item := doc.Paths[path]
	op := map[string]*huma.Operation{"POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete}[method]
	for i := range input.NumField() {
		if f, ok := reflect.New(input.Field(i).Type).Interface().(documented); ok {
			f.describe(op, doc.Components.Schemas)
		}
	}
}

// member is a member of a JSON object that may be absent, null or there: PATCH tells the three apart.
type member[T any] struct {
	Set   bool // it was sent
	Null  bool // as null
	Value T
}

// UnmarshalJSONFrom is called only when the member is there.
func (m *member[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	m.Set = true
	if dec.PeekKind() == 'n' {
		m.Null = true
		return dec.SkipValue()
	}
	return json.UnmarshalDecode(dec, &m.Value)
}

// Schema documents the member as its value.
func (m member[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, "")
}

// lay sets *to when the member was sent; null gives the zero value.
func lay[T any](m member[T], to *T) {
	if m.Set {
		*to = m.Value
	}
}
