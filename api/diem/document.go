package diem

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// Bodies of requests, for the document only: the dispatcher reads them member by member.
type (
	idRequest struct {
		ID string `json:"id" doc:"objectId of a job config"`
	}
	jobRequest struct {
		ID     string `json:"id" doc:"objectId of a job config"`
		Action string `json:"action,omitempty" doc:"start, stop or status; start if not given"`
		JobID  string `json:"jobid,omitempty" doc:"With stop and status: one run, by its native job id"`
	}
	serviceRequest struct {
		ID     string         `json:"id" doc:"objectId of a job config"`
		Params map[string]any `json:"params,omitempty" doc:"The program's first argument as JSON, and the macro PARAMS; texts and numbers also as macros of their names"`
	}
	stepsRequest struct {
		ID    string     `json:"id,omitempty" doc:"objectId of a job config"`
		Query *idRequest `json:"query,omitempty" doc:"The same, which then counts alone"`
	}
	listRequest struct {
		listArguments
		Query *listArguments `json:"query,omitempty" doc:"The same members, which then count alone"`
	}
	listArguments struct {
		First     int      `json:"first,omitempty" doc:"Rows to skip"`
		Rows      int      `json:"rows,omitempty" doc:"How many; 0: all, 1000 at most"`
		SortField string   `json:"sortField,omitempty" doc:"name, description, createddate, status, jobstart, jobend, runby, runtime, count, email, error or executor; others: name"`
		SortOrder int      `json:"sortOrder,omitempty" doc:"1: descending"`
		Status    any      `json:"status,omitempty" doc:"A status word, or a list of them"`
		Type      string   `json:"type,omitempty" doc:"pycustom or pipeline"`
		Mine      bool     `json:"mine,omitempty"`
		Scheduled bool     `json:"scheduled,omitempty"`
		Search    string   `json:"search,omitempty" doc:"name, description, status, sql or, for finished runs, jobid"`
		Reference string   `json:"reference,omitempty" doc:"What is searched for"`
		Tags      []string `json:"tags,omitempty"`
		TagsType  string   `json:"tagstype,omitempty" doc:"any or all"`
	}
	fileRequest struct {
		ID string `json:"id" doc:"Key of a file of the account"`
	}
	selectorRequest struct {
		Selector string `json:"selector" doc:"What keys begin with"`
	}
)

// What replies may hold, for the document only.
type (
	refused struct {
		Message string `json:"message,omitempty"`
		Error   string `json:"error,omitempty" doc:"Why the caller may not"`
		Status  int    `json:"status,omitempty" doc:"The HTTP status, in some"`
	}
	told200 struct {
		Message string `json:"message,omitempty" doc:"job started, job already running, job stopped, job already stopped, or a status word"`
		Error   string `json:"error,omitempty" doc:"There is no such document, or it can not be started"`
		Action  string `json:"action,omitempty" doc:"What was asked for, where it is no action"`
	}
)

// uploaded is what fileupload answers.
type uploaded struct {
	Message string `json:"message"`
	Success bool   `json:"success"`
}

// served is what services answers: the program's result, that it gave none, or that it failed.
type served struct {
	Out       any    `json:"out,omitempty" doc:"What the program gave"`
	ID        string `json:"id,omitempty"`
	JobID     string `json:"jobid,omitempty"`
	ServiceID string `json:"serviceid,omitempty" doc:"The id, of a program that failed"`
	Org       string `json:"org,omitempty"`
	TransID   string `json:"transid,omitempty"`
	Email     string `json:"email,omitempty"`
	Name      string `json:"name,omitempty"`
	Error     string `json:"error,omitempty" doc:"The end of the log, of a program that failed"`
	Message   string `json:"message,omitempty" doc:"no data"`
}

// toldHeaders are the headers of replies, for the document only.
var toldHeaders = map[string]string{
	headerRequest:     "The call's id: its own or, where it has none that can be taken, a new one; the transid of a job that it starts",
	headerCorrelation: "As X-Request-Id",
	headerJob:         "Native id of the job that the reply is about, if it is about one",
	headerLimit:       "How many calls the key may make",
	headerRemaining:   "How many it may make now",
	headerReset:       "When it may make as many as ever, in seconds since 1970",
	"Retry-After":     "Seconds until the next call can be taken",
}

func headers(names ...string) map[string]*huma.Param {
	list := map[string]*huma.Param{}
	for _, name := range append(names, headerLimit, headerRemaining, headerReset) {
		list[name] = &huma.Param{Description: toldHeaders[name], Schema: &huma.Schema{Type: huma.TypeString}}
	}
	return list
}

// document is the head of the OpenAPI document, with the functions.
func (d *door) document() huma.Config {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	c := huma.Config{OpenAPI: &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "Waybill for DIEM clients", Version: d.server.Product.Version,
			Description: "Starts, stops and watches job configs for clients written for IBM DIEM. Every function takes any method, with its arguments as JSON " +
				"in the body; a GET may carry them in the query.",
			License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
		},
		Servers: []*huma.Server{{URL: base}},
		Components: &huma.Components{Schemas: registry, SecuritySchemes: map[string]*huma.SecurityScheme{
			"apikey": {Type: "apiKey", In: "header", Name: "x-api-key", Description: "A key of POST /api/apikeys"},
		}},
		Security: []map[string][]string{{"apikey": {}}},
		Paths:    map[string]*huma.PathItem{},
	}}
	c.FieldsOptionalByDefault, c.AllowAdditionalPropertiesByDefault = true, true
	refusals := func() map[string]*huma.MediaType {
		return map[string]*huma.MediaType{
			"application/json": {Schema: registry.Schema(reflect.TypeFor[refused](), true, "")}, "text/plain": {Schema: &huma.Schema{Type: huma.TypeString}},
		}
	}
	add := func(name, summary string, request, reply any) {
		schema := func(v any) map[string]*huma.MediaType {
			return map[string]*huma.MediaType{"application/json": {Schema: registry.Schema(reflect.TypeOf(v), true, "")}}
		}
		op := &huma.Operation{
			OperationID: name, Method: "POST", Path: "/api/" + name, Summary: summary, Responses: map[string]*huma.Response{
				"200":     {Description: "OK", Content: schema(reply), Headers: headers(headerRequest, headerCorrelation)},
				"429":     {Description: "Too many calls", Content: refusals(), Headers: headers(headerRequest, headerCorrelation, "Retry-After")},
				"default": {Description: "Refused or failed", Content: refusals(), Headers: headers(headerRequest, headerCorrelation)},
			},
		}
		if request != nil {
			op.RequestBody = &huma.RequestBody{Required: true, Content: schema(request)}
		} else {
			op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"multipart/form-data": {Schema: &huma.Schema{
				Type: "object", Properties: map[string]*huma.Schema{"file": {Type: "string", Format: "binary"}},
			}}}}
		}
		switch name {
		case "jobactions": // true, or what is wrong with the action
			op.Responses["200"].Content["application/json"].Schema = &huma.Schema{OneOf: []*huma.Schema{
				{Type: huma.TypeBoolean}, registry.Schema(reflect.TypeFor[told200](), true, ""),
			}}
		case "filedownload":
			op.Responses["200"].Content["application/octet-stream"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
		}
		if name == "apijob" || name == "jobactions" || name == "services" {
			op.Responses["200"].Headers[headerJob] = headers(headerJob)[headerJob]
			op.Responses["500"] = &huma.Response{Description: "The job config has no package that can be run, or the server failed", Content: refusals()}
		}
		c.Paths[op.Path] = &huma.PathItem{Post: op}
	}
	add("apijob", "Start or stop a job config, or tell how its newest run stands", jobRequest{}, told200{})
	add("jobactions", "Start or stop a job config", jobRequest{}, true)
	add("services", "Run a job config and wait for what it gives", serviceRequest{}, served{})
	add("jobs", "List job configs with their newest runs", listRequest{}, []documentRow{})
	add("jobdetail", "Show a job config", idRequest{}, detail{})
	add("joblog", "List finished runs", listRequest{}, []runRow{})
	add("pipelinejobs", "List the steps of a job config's newest run", stepsRequest{}, []stepRow{})
	add("getfiles", "List files of the account", selectorRequest{}, []fileRow{})
	add("fileupload", "Store files of the account", nil, uploaded{})
	add("filedownload", "Get a file of the account", fileRequest{}, fileText{})
	add("filedelete", "Delete a file of the account", fileRequest{}, success{})
	for _, schema := range registry.Map() {
		schema.Required = nil              // replies leave out what they have not
		schema.AdditionalProperties = true // clients send members that are not looked at
	}
	return c
}
