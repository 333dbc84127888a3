package diem

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"waybill/api"
	"waybill/internal/job"
)

// maxBody bounds a JSON body (diem.md, 1).
const maxBody = 15 << 20 // bytes

// args are the arguments of a call, as they were sent.
type args map[string]json.RawMessage

var (
	errNoContentType = errors.New("the request has no Content-Type")
	errNotParsed     = errors.New("the body can not be parsed")
)

func notParsed() error {
	return job.Wrap(errNotParsed, job.Invalid, job.WordInvalidField, "The body can not be parsed")
}

// readArgs reads the arguments of a call: of its body or, of a GET without one, of its query. A multipart body is left to a function that
// uploads.
func readArgs(c *call, uploads bool) (args, error) {
	r := c.HTTP
	label := r.Header.Get("Content-Type")
	if label == "" {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			return nil, job.Wrap(errNoContentType, job.Invalid, job.WordInvalidField, "The request has no Content-Type")
		}
		return queryArgs(r), nil
	}
	kind, parameters, err := mime.ParseMediaType(label)
	isForm := err == nil && strings.HasPrefix(kind, "multipart/")
	if isForm && (parameters["boundary"] == "") {
		return nil, notParsed()
	}
	if isForm && uploads {
		return args{}, nil
	}
	a := args{}
	err = api.ReadBody(r, maxBody, func(text []byte) error {
		switch {
		case isForm:
			return a.form(text, parameters["boundary"])
		case len(strings.TrimSpace(string(text))) == 0:
			return nil
		}
		isJSON := err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json"))
		var members map[string]jsontext.Value
		bad := api.DecodeJSON(text, &members)
		if bad != nil && isJSON || bad == nil && members == nil {
			return job.Errorf(job.Invalid, job.WordMalformedJSON, "malformed JSON")
		}
		if bad != nil {
			return notParsed()
		}
		for name, value := range members {
			a[name] = json.RawMessage(value.Clone())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if r.Method == http.MethodGet {
		for name, value := range queryArgs(r) {
			if _, sent := a[name]; !sent {
				a[name] = value
			}
		}
	}
	return a, nil
}

func queryArgs(r *http.Request) args {
	a := args{}
	for name, values := range r.URL.Query() {
		a[name] = quoted(values[0])
	}
	return a
}

func quoted(text string) json.RawMessage { return asJSON(strings.ToValidUTF8(text, "\uFFFD")) }

// form takes the fields of a form that holds no files.
func (a args) form(text []byte, boundary string) error {
	parts := multipart.NewReader(strings.NewReader(string(text)), boundary)
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return notParsed()
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return notParsed()
		}
		if part.FileName() == "" {
			a[part.FormName()] = quoted(string(value))
		}
	}
}

// text is a member as a text: "undefined" where it is not there, which is what the vendor's messages say.
func (a args) text(name string) string {
	raw, sent := a[name]
	if !sent {
		return undefined
	}
	var text string
	if json.Unmarshal(raw, &text) == nil && raw[0] == '"' {
		return text
	}
	return string(raw)
}

const undefined = "undefined"

// id is a member that names a document or a run: its digits may be capitals, as in the vendor's ids.
func (a args) id(name string) string {
	text := a.text(name)
	if lower := strings.ToLower(text); job.ValidID(lower) {
		return lower
	}
	return text
}

// has tells whether a member was sent that is not empty.
func (a args) has(name string) bool {
	raw, sent := a[name]
	return sent && string(raw) != "null" && string(raw) != `""`
}

// word is text, but empty where the member was not sent.
func (a args) word(name string) string {
	if !a.has(name) {
		return ""
	}
	return a.text(name)
}

// number is a whole number, written as one or as a text.
func (a args) number(name string, otherwise int) (int, error) {
	if !a.has(name) {
		return otherwise, nil
	}
	n, err := strconv.ParseFloat(a.text(name), 64)
	if err != nil || n != float64(int64(n)) || n < -1e9 || n > 1e9 {
		return 0, job.Errorf(job.Invalid, job.WordInvalidField, "%s must be a whole number", name)
	}
	return int(n), nil
}

func (a args) flag(name string) bool {
	text := strings.ToLower(a.word(name))
	return text == "true" || text == "1"
}

// words is a list of texts, or one text for a list of one.
func (a args) words(name string) ([]string, error) {
	if !a.has(name) {
		return nil, nil
	}
	var list []string
	if raw := a[name]; raw[0] == '[' {
		if json.Unmarshal(raw, &list) != nil {
			return nil, job.Errorf(job.Invalid, job.WordInvalidField, "%s must be a list of texts", name)
		}
		return list, nil
	}
	return []string{a.text(name)}, nil
}

// query is the member query, or the arguments themselves.
func (a args) query() (args, error) {
	if !a.has("query") {
		return a, nil
	}
	var inner args
	if json.Unmarshal(a["query"], &inner) != nil || inner == nil {
		return nil, job.Errorf(job.Invalid, job.WordInvalidField, "query must be an object")
	}
	return inner, nil
}
