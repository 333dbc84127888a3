package native

import (
	"github.com/danielgtaylor/huma/v2"
)

// document is the head of the OpenAPI document. Paths are given without a base and "servers" names both, because both
// are the same API: a document with every path twice would be twice as long and say no more.
func (d *door) document() huma.Config {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	c := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Waybill native API", Version: d.server.Product.Version,
				Description: "Upload integration packages, describe how they run in job configs, run them as jobs and follow them. " +
					"Dates look like `Apr 12, 2019 12:40:51 PM` (UTC); send `Prefer: dates=rfc3339` for RFC 3339.",
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Servers: []*huma.Server{
				{URL: "/api", Description: "As the vendor's on-premise product"},
				{URL: "/v2/api", Description: "As the vendor's cloud; the same API"},
			},
			Components: &huma.Components{
				Schemas: registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "The access_token of POST /login"},
					"apikey": {Type: "apiKey", In: "header", Name: "x-api-key", Description: "A key of POST /apikeys; it is taken as a bearer token, too"},
					"basic":  {Type: "http", Scheme: "basic", Description: "User and password; only on routes that start jobs"},
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
