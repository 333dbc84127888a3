package fuzzdoors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"waybill/api"
)

// example is a call that a document shows, with its answer (api.Example).
type example struct {
	name       string
	parameters map[string]string
	media      string
	body       any
	status     int
	answer     string // media type; empty: no body
	reply      any
}

// wholeDoors show an example of every operation.
var wholeDoors = map[string]bool{"informatica": true, "diem": true}

// examplesOf finds the examples of an operation, by the names under its answers.
func (d *document) examplesOf(op map[string]any) (list []example) {
	for status, r := range object(op["responses"]) {
		code, _ := strconv.Atoi(status)
		for media, c := range object(object(r)["content"]) {
			for name, e := range object(object(c)["examples"]) {
				list = append(list, example{name: name, status: code, answer: media, reply: object(e)["value"]})
			}
		}
		for _, name := range array(object(r)[api.WithoutBody]) {
			list = append(list, example{name: text(name), status: code})
		}
	}
	for i := range list {
		e := &list[i]
		e.parameters = map[string]string{}
		for _, p := range array(op["parameters"]) {
			p := object(d.resolve(p))
			if v := object(object(p["examples"])[e.name])["value"]; v != nil {
				e.parameters[text(p["in"])+" "+text(p["name"])] = fmt.Sprint(v)
			}
		}
		for media, c := range object(object(op["requestBody"])["content"]) {
			if v, given := object(object(c)["examples"])[e.name]; given {
				e.media, e.body = media, object(v)["value"]
			}
		}
	}
	return list
}

func TestEveryExampleIsAnsweredAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	shared := newWorld(t) // for what changes nothing
	for _, d := range shared.documents() {
		made := 0
		for _, o := range d.ops {
			if wholeDoors[d.name] && len(o.examples) == 0 {
				t.Errorf("%s has no example", o)
			}
			for _, e := range o.examples {
				made++
				t.Run(d.name+" "+o.method+" "+strings.ReplaceAll(o.path, "/", "|")+" "+e.name, func(t *testing.T) {
					t.Parallel()
					w := shared
					if o.method != http.MethodGet && e.status < 400 {
						w = newWorld(t)
					}
					e.make(t, w, o)
				})
			}
		}
		if made == 0 {
			t.Errorf("%s has no examples", d.name)
		}
		t.Logf("%s: %d examples of %d operations", d.name, made, len(d.ops))
	}
}

// make makes the call.
func (e example) make(t *testing.T, w *world, o operation) {
	query, path := url.Values{}, o.path
	headers := http.Header{}
	for at, value := range e.parameters {
		in, name, _ := strings.Cut(at, " ")
		switch in {
		case "path":
			path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
		case "query":
			query.Set(name, value)
		case "header":
			headers.Set(name, value)
		}
	}
	if strings.Contains(path, "{") {
		t.Fatalf("the example has no value for a part of %s", path)
	}
	var body []byte
	if e.body != nil {
		if e.media == "multipart/form-data" {
			var buf bytes.Buffer
			form := multipart.NewWriter(&buf)
			for name, content := range object(e.body) {
				part, err := form.CreateFormFile(name, "prices.csv")
				if err == nil {
					_, err = part.Write([]byte(text(content)))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := form.Close(); err != nil {
				t.Fatal(err)
			}
			body, e.media = buf.Bytes(), form.FormDataContentType()
		} else if s, is := e.body.(string); is && !strings.HasSuffix(e.media, "json") {
			body = []byte(s)
		} else {
			var err error
			if body, err = json.Marshal(e.body); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	r := httptest.NewRequestWithContext(t.Context(), o.method, path, bytes.NewReader(body))
	r.RemoteAddr = "192.0.2.1:40000"
	if e.media != "" {
		r.Header.Set("Content-Type", e.media)
	}
	if e.answer != "" {
		r.Header.Set("Accept", e.answer)
	}
	if !o.open && e.status != http.StatusUnauthorized {
		kits[o.door].sign(w, r, "admin")
	}
	for name, values := range headers {
		r.Header[name] = values
	}
	a := httptest.NewRecorder()
	w.server.ServeHTTP(a, r)
	if a.Code != e.status {
		t.Fatalf("%s: %d, want %d: %s", r.URL, a.Code, e.status, a.Body)
	}
	if err := o.fits(a); err != nil {
		t.Errorf("%v: %s", err, a.Body)
	}
	label, _, _ := strings.Cut(a.Header().Get("Content-Type"), ";")
	if a.Body.Len() > 0 && label != e.answer {
		t.Errorf("the answer is %s, want %s: %s", label, e.answer, a.Body)
	}
	if strings.HasSuffix(e.answer, "json") {
		var got any
		if err := json.Unmarshal(a.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		for _, missing := range lacks("", e.reply, got) {
			t.Errorf("%s in %s", missing, a.Body)
		}
	}
}

// lacks tells which members of an example the answer has not, or of another type. Values are examples: ids and times differ.
func lacks(at string, want, got any) (list []string) {
	switch want := want.(type) {
	case map[string]any:
		have, is := got.(map[string]any)
		if !is {
			return []string{at + " is no object"}
		}
		for name, v := range want {
			if _, there := have[name]; !there {
				list = append(list, at+"."+name+" is missing")
				continue
			}
			list = append(list, lacks(at+"."+name, v, have[name])...)
		}
	case []any:
		have, is := got.([]any)
		if !is || len(have) < min(1, len(want)) {
			return []string{at + " is no array with something in it"}
		}
		if len(want) > 0 {
			list = lacks(at+"[0]", want[0], have[0])
		}
	default:
		if fmt.Sprintf("%T", want) != fmt.Sprintf("%T", got) {
			list = []string{fmt.Sprintf("%s is %v, want something like %v", at, got, want)}
		}
	}
	return list
}
