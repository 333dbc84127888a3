package fuzzdoors

import (
	"bytes"
	"cmp"
	gocontext "context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func context() gocontext.Context { return gocontext.Background() }

// parameter is one of an operation's.
type parameter struct {
	Name, In string
	Schema   map[string]any
}

// operation is one of a door's document.
type operation struct {
	door, method, path string // path with the door's base
	id                 string
	open               bool
	basic              bool
	parameters         []parameter
	bodies             map[string]map[string]any                // schemas by media type
	answers            map[string]map[string]*jsonschema.Schema // by status and media type; a nil schema says nothing
	examples           []example
}

func (o operation) String() string { return o.method + " " + o.path }

// document is a door's OpenAPI document.
type document struct {
	name string
	root map[string]any
	ops  []operation
}

// documents reads the documents that the server lists.
func (w *world) documents() (list []document) {
	w.t.Helper()
	var listed []struct{ Name, URL string }
	w.read("/docs/documents.json", &listed)
	for _, l := range listed {
		d := document{name: l.Name}
		w.read(l.URL, &d.root)
		d.operations(w.t)
		list = append(list, d)
	}
	return list
}

func (w *world) read(path string, into any) {
	w.t.Helper()
	answer := httptest.NewRecorder()
	w.server.ServeHTTP(answer, httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, path, nil))
	if err := json.Unmarshal(answer.Body.Bytes(), into); err != nil || answer.Code != 200 {
		w.t.Fatalf("%s: %d, %v", path, answer.Code, err)
	}
}

// object and list are for walking through JSON; what is absent is empty.
func object(v any) map[string]any { m, _ := v.(map[string]any); return m }
func array(v any) []any           { a, _ := v.([]any); return a }
func text(v any) string           { s, _ := v.(string); return s }

func (d *document) operations(t testing.TB) {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020) // what OpenAPI 3.1 takes
	raw, err := json.Marshal(d.root)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	at := "https://waybill.example/" + d.name + ".json"
	if err := compiler.AddResource(at, plain); err != nil {
		t.Fatal(err)
	}
	base := ""
	if servers := array(d.root["servers"]); len(servers) > 0 {
		base = strings.TrimSuffix(text(object(servers[0])["url"]), "/")
		if u, err := url.Parse(base); err == nil {
			base = u.Path
		}
	}
	for path, item := range object(d.root["paths"]) {
		for method, v := range object(item) {
			op := object(v)
			if !slices.Contains([]string{"get", "post", "put", "patch", "delete"}, method) {
				continue
			}
			o := operation{
				door: d.name, method: strings.ToUpper(method), path: base + path, id: text(op["operationId"]),
				bodies: map[string]map[string]any{}, answers: map[string]map[string]*jsonschema.Schema{},
			}
			security, given := op["security"]
			o.open = given && len(array(security)) == 0
			for _, s := range array(security) {
				_, is := object(s)["basic"]
				o.basic = o.basic || is
				o.open = o.open || len(object(s)) == 0
			}
			for _, p := range array(op["parameters"]) {
				p := object(d.resolve(p))
				o.parameters = append(o.parameters, parameter{text(p["name"]), text(p["in"]), object(d.resolve(p["schema"]))})
			}
			for media, c := range object(object(op["requestBody"])["content"]) {
				o.bodies[media] = object(object(c)["schema"])
			}
			for status, r := range object(op["responses"]) {
				o.answers[status] = map[string]*jsonschema.Schema{}
				for media, c := range object(object(r)["content"]) {
					var schema *jsonschema.Schema
					if object(c)["schema"] != nil {
						schema, err = compiler.Compile(at + "#" + pointer("paths", path, method, "responses", status, "content", media, "schema"))
						if err != nil {
							t.Fatalf("%s: %v", o, err)
						}
					}
					o.answers[status][media] = schema
				}
			}
			o.examples = d.examplesOf(op)
			d.ops = append(d.ops, o)
		}
	}
	slices.SortFunc(d.ops, func(a, b operation) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.method, b.method)) })
}

// pointer is a JSON pointer as the fragment of a URL.
func pointer(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(p)))
	}
	return b.String()
}

// resolve follows a reference inside of the document.
func (d *document) resolve(v any) any {
	for range 20 {
		ref := text(object(v)["$ref"])
		if ref == "" {
			return v
		}
		v = any(d.root)
		for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			v = object(v)[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
		}
	}
	return v
}

// fits tells what is wrong with an answer by the document.
func (o operation) fits(a *httptest.ResponseRecorder) error {
	answers, named := o.answers[strconv.Itoa(a.Code)]
	if !named {
		if answers, named = o.answers["default"]; !named || a.Code < 400 {
			return fmt.Errorf("status %d is not documented", a.Code)
		}
	}
	if a.Body.Len() == 0 {
		if answers["application/json"] != nil {
			return fmt.Errorf("status %d without a body", a.Code)
		}
		return nil
	}
	if len(answers) == 0 {
		return fmt.Errorf("status %d with a body, which is not documented", a.Code)
	}
	label, _, _ := strings.Cut(a.Header().Get("Content-Type"), ";")
	schema, named := answers[label]
	if !named {
		if _, any := answers["*/*"]; any {
			return nil
		}
		return fmt.Errorf("status %d with the media type %q, which is not documented", a.Code, label)
	}
	if schema == nil || !strings.HasSuffix(label, "json") {
		return nil
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(a.Body.Bytes()))
	if err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	if err := schema.Validate(v); err != nil {
		return err
	}
	return documented("", schema, v)
}

// documented tells of a member that the schema does not: a document that keeps quiet about a part of its answers is not whole. An object
// of which the schema names no member may have any.
func documented(at string, s *jsonschema.Schema, v any) error {
	for s.Ref != nil {
		s = s.Ref
	}
	switch v := v.(type) {
	case map[string]any:
		if len(s.Properties) == 0 {
			return nil
		}
		for name, value := range v {
			of, known := s.Properties[name]
			if !known {
				return fmt.Errorf("the member %s.%s is not documented", at, name)
			}
			if err := documented(at+"."+name, of, value); err != nil {
				return err
			}
		}
	case []any:
		for _, one := range v {
			if items := s.Items2020; items != nil {
				if err := documented(at+"[]", items, one); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
