package api

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// Example is a call that a document shows, with its answer. Every example is made by a test (test/fuzzdoors), against a server that has
// what its world holds, and must be answered with the status, and by the schemas, of the document.
type Example struct {
	Operation  string // such as "POST /jobconfigs/{id}/jobs", the path as in the document
	Name       string // one word, that keeps the examples of an operation apart
	Summary    string
	Parameters map[string]string // of path, query and header
	Body       any               // sent as JSON; a string under another media type than JSON as it is; nil: none
	Media      string            // of Body; empty: application/json
	Status     int
	Reply      any    // nil: no body
	ReplyMedia string // of Reply; empty: application/json
}

// AddExamples puts examples into a document: under one name into the operation's parameters, its body and its answer.
func AddExamples(doc *huma.OpenAPI, list ...Example) error {
	for _, e := range list {
		op := operationOf(doc, e.Operation)
		if op == nil {
			return fmt.Errorf("api: the example %s is of %s, which the document lacks", e.Name, e.Operation)
		}
		if err := e.add(doc, op); err != nil {
			return fmt.Errorf("api: the example %s of %s: %w", e.Name, e.Operation, err)
		}
	}
	return nil
}

func operationOf(doc *huma.OpenAPI, name string) *huma.Operation {
	for path, item := range doc.Paths {
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete} {
			if op != nil && method+" "+path == name {
				return op
			}
		}
	}
	return nil
}

func (e Example) add(doc *huma.OpenAPI, op *huma.Operation) error {
	for _, name := range slices.Sorted(maps.Keys(e.Parameters)) {
		at := slices.IndexFunc(op.Parameters, func(p *huma.Param) bool { return p.Name == name })
		if at < 0 {
			return fmt.Errorf("there is no parameter %s", name)
		}
		p := op.Parameters[at]
		if p.Examples == nil {
			p.Examples = map[string]*huma.Example{}
		}
		p.Examples[e.Name] = &huma.Example{Value: e.Parameters[name]}
	}
	if e.Body != nil {
		if op.RequestBody == nil {
			return fmt.Errorf("it takes no body")
		}
		if err := show(op.RequestBody.Content, e.Media, e.Name, e.Summary, e.Body); err != nil {
			return err
		}
	}
	status := strconv.Itoa(e.Status)
	if op.Responses[status] == nil {
		all := op.Responses["default"]
		if all == nil || e.Status < 400 {
			return fmt.Errorf("status %d is not documented", e.Status)
		}
		own := *all // a status of its own, because an example must say which it is of
		own.Content = map[string]*huma.MediaType{}
		for media, c := range all.Content {
			own.Content[media] = &huma.MediaType{Schema: c.Schema}
		}
		op.Responses[status] = &own
	}
	answer := op.Responses[status]
	if e.Reply == nil {
		if answer.Extensions == nil {
			answer.Extensions = map[string]any{}
		}
		names, _ := answer.Extensions[WithoutBody].([]string)
		answer.Extensions[WithoutBody] = append(names, e.Name) // there is no other place for it
		return nil
	}
	return show(answer.Content, e.ReplyMedia, e.Name, e.Summary, e.Reply)
}

// WithoutBody is the extension of a response that names the examples that it is the answer of, where it has no body.
const WithoutBody = "x-examples-without-body"

func show(content map[string]*huma.MediaType, media, name, summary string, value any) error {
	if media == "" {
		media = "application/json"
	}
	c := content[media]
	if c == nil {
		return fmt.Errorf("%s is not documented", media)
	}
	if c.Examples == nil {
		c.Examples = map[string]*huma.Example{}
	}
	c.Examples[name] = &huma.Example{Summary: summary, Value: value}
	return nil
}
