package manifest

import _ "embed"

// Schema is the JSON Schema (draft 2020-12) of a manifest, for editors.
//
//go:embed waybill.schema.json
var Schema []byte
