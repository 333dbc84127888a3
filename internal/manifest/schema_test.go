package manifest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"waybill/internal/manifest"
)

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(manifest.Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("waybill.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("waybill.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// TestSchemaAndParserAgree: what an editor calls wrong is refused, and the other way round.
func TestSchemaAndParserAgree(t *testing.T) {
	t.Parallel()
	s := schema(t)
	for _, text := range []string{
		full, "{}", "# nothing", "name:", "entryPoints: [{path: a}]", "macros: [{name: A, default: , secure: true}]",
		"name: [x]", "entryPoint: a", "entryPoints: a", "entryPoints: [a]", "entryPoints: [{name: a}]", "entryPoints: [{path: a, args: []}]",
		"entryPoints: [{path: /a}]", `entryPoints: [{path: 'a\..\..\b'}]`, "entryPoints: [{path: 'C:x'}]", "entryPoints: [{path: ''}]", "entryPoints: [{path: }]",
		"entryPoints: [{path: ..a/b}]", "entryPoints: [{path: a, runtime: 'x y'}]", "entryPoints: [{path: a, environment: {A-B: 1}}]",
		"entryPoints: [{path: a, environment: {JOB_ID: 1}}]", "entryPoints: [{path: a, environment: {JOB_IDS: 1, b: }}]", "entryPoints: [{path: a, arguments: [[]]}]",
		"macros: [{name: A, secure: true, default: x}]", "macros: [{name: A, secure: false, default: x}]", "macros: [{name: A, required: 1}]", "macros: [{default: 1}]",
		"macros: [{name: 'A=B'}]", "macros: [{name: SESSION_ID}]", "macros: [{name: ' A'}]", "messages: {in: [a, a]}", "messages: {inn: [a]}",
		"messages: {in: [a/b]}", `messages: {out: ['a\b']}`, "messages: {out: [files]}", "messages: {in: [..]}", "messages: {in: [.a, Files]}",
		"resources: {memoryMiB: 0}", "resources: {memoryMiB: 1.5}", "resources: {cpus: 0}", "resources: {cpus: 0.5}", "resources: {network: some}", "resources: {network: full, openFiles: 1}",
	} {
		var doc any
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		editor := s.Validate(instance)
		_, parser := manifest.Parse("waybill.yaml", []byte(text), nil)
		if (editor == nil) != (parser == nil) {
			t.Errorf("%s\nthe schema says %v\nthe parser says %v", text, editor, parser)
		}
	}
}

// TestSchemaKnowsTheMembersOfTheParser asks the parser for its members with one it can not know.
func TestSchemaKnowsTheMembersOfTheParser(t *testing.T) {
	t.Parallel()
	var doc struct {
		Properties map[string]any
		Defs       map[string]struct{ Properties map[string]any } `json:"$defs"`
	}
	if err := json.Unmarshal(manifest.Schema, &doc); err != nil {
		t.Fatal(err)
	}
	for of, text := range map[string]string{
		"": "zzz: 1", "entryPoint": "entryPoints: [{path: a, zzz: 1}]", "macro": "macros: [{name: a, zzz: 1}]",
		"messages": "messages: {zzz: 1}", "resources": "resources: {zzz: 1}",
	} {
		properties := doc.Properties
		if of != "" {
			properties = doc.Defs[of].Properties
		}
		want := "the members are " + strings.Join(slices.Sorted(maps.Keys(properties)), ", ")
		_, err := manifest.Parse("waybill.yaml", []byte(text), nil)
		var faults *manifest.Faults
		if !errors.As(err, &faults) || !strings.HasSuffix(faults.List[0].Text, want) {
			t.Errorf("%q: %v, but the schema says %s", of, err, want)
		}
	}
}
