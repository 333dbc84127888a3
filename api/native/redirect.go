package native

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"waybill/api"
)

// RedirectParam lets a client ask for bytes from where they lie.
type RedirectParam struct {
	Redirect flag `query:"redirect" doc:"true: where the object store can be reached by clients, answer 307 with an address, valid for some minutes, that needs no token; else the bytes as usual"`
}

// redirectable documents an operation that may answer with the address of the bytes.
func redirectable(op huma.Operation) huma.Operation {
	op.Responses["307"] = &huma.Response{
		Description: "Temporary Redirect, to where the bytes lie; asked for with redirect=true",
		Headers:     map[string]*huma.Param{"Location": {Schema: &huma.Schema{Type: huma.TypeString, Format: "uri"}}},
	}
	return op
}

// stored is bytes that lie in the object store as one object.
type stored struct {
	key       string
	name      string // of the file
	kind, sum string
	content   api.Content
}

// sendStored answers with the bytes or, when the client asked for it and may reach the store, with their address.
func (d *door) sendStored(ctx context.Context, asked RedirectParam, f stored) (*streamReply, error) {
	redirect, err := boolParam("redirect", asked.Redirect)
	if err != nil {
		return nil, err
	}
	bytes := d.streamFile(f.name, f.kind, f.sum, f.content)
	if !redirect || d.server.Presigner == nil || f.content.Size == 0 { // an empty file need not lie anywhere
		return bytes, nil
	}
	return &streamReply{Body: func(hc huma.Context) {
		c := api.Gin(hc)
		if conditional(c.Request.Header) {
			bytes.Body(hc)
			return
		}
		address, err := d.server.Presigner.Presign(ctx, f.key, baseName(f.name), mediaType(f.kind))
		if err != nil {
			d.server.Fail(c, err)
			return
		}
		c.Header("Location", address)
		c.Header("Cache-Control", "private, no-store") // whoever has the address has the bytes
		c.Status(http.StatusTemporaryRedirect)
	}}, nil
}

// conditional tells whether the call depends on what the client has already: our tags are not the object store's.
func conditional(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, "If-") {
			return true
		}
	}
	return false
}

func mediaType(kind string) string {
	if kind == "" {
		return "application/octet-stream"
	}
	return kind
}
