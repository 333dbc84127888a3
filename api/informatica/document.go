package informatica

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// document is the head of the OpenAPI document.
func (d *door) document() huma.Config {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	c := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Waybill for Informatica Cloud clients", Version: d.server.Product.Version,
				Description: "Log in, start, stop and watch jobs as with Informatica Cloud's REST API v2. A task is a job config, a run is a job. " +
					"Bodies are JSON or XML by Content-Type, replies by Accept.",
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Servers: []*huma.Server{{URL: "/"}},
			Components: &huma.Components{
				Schemas: registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"session":  {Type: "apiKey", In: "header", Name: "icSessionId", Description: "The icSessionId of a login"},
					"session3": {Type: "apiKey", In: "header", Name: "INFA-SESSION-ID", Description: "The same, or the sessionId of a v3 login"},
				},
			},
		},
		Formats:       map[string]huma.Format{"application/json": huma.DefaultJSONFormat},
		DefaultFormat: "application/json",
	}
	c.FieldsOptionalByDefault = true
	c.AllowAdditionalPropertiesByDefault = true // unknown members are ignored
	return c
}

func (d *door) schema(t reflect.Type) *huma.Schema {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return d.api.OpenAPI().Components.Schemas.Schema(t, true, "")
}

// content is a schema under the media types of the door.
func (d *door) content(u use, t reflect.Type) map[string]*huma.MediaType {
	media := map[string]*huma.MediaType{"application/json": {Schema: d.schema(t)}}
	if !isV3(u.path) {
		media["application/xml"] = &huma.MediaType{Schema: d.schema(t)}
	}
	return media
}

func (d *door) responses(u use, out reflect.Type) map[string]*huma.Response {
	ok := &huma.Response{Description: "OK"}
	switch {
	case u.plain != "":
		ok.Content = map[string]*huma.MediaType{u.plain: {Schema: &huma.Schema{Type: huma.TypeString}}}
	case out == reflect.TypeFor[streamed]():
		ok.Content = d.content(u, reflect.SliceOf(reflect.TypeOf(u.entries)))
	default:
		ok.Content = d.content(u, out)
	}
	fault := reflect.TypeFor[fault]()
	if isV3(u.path) {
		fault = reflect.TypeFor[coreFault]()
	}
	return map[string]*huma.Response{"200": ok, "default": {Description: "Error", Content: d.content(u, fault)}}
}

// documentBody adds the request body to a registered operation's part of the document.
func (d *door) documentBody(u use, in reflect.Type) {
	if in == reflect.TypeFor[none]() {
		return
	}
	item := d.api.OpenAPI().Paths[u.path]
	op := map[string]*huma.Operation{"POST": item.Post, "DELETE": item.Delete}[u.method]
	op.RequestBody = &huma.RequestBody{Required: true, Content: d.content(u, in)}
}
