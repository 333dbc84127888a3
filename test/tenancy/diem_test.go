package tenancy

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"strings"

	"waybill/api/diem"
)

// diemVisit is one call of a function: the body names what is theirs by the names of world.theirs.
type diemVisit struct {
	body map[string]any
	// want is a part of the answer to the stranger and to the general user, behind its status.
	status statuses
	want   [2]string
}

// diemVisits are the calls of every function. Most answer 200 whatever happened, and say so in the body.
var diemVisits = func() map[string][]diemVisit {
	same := func(status int, part string) ([2]string, statuses) {
		return [2]string{part, part}, statuses{{status}, {status}}
	}
	each := func(status int, part string, more ...map[string]any) (all []diemVisit) {
		for _, id := range []string{"<object>", "<config>"} {
			for _, m := range append(more, map[string]any{}) {
				body := map[string]any{"id": id}
				for k, v := range m {
					body[k] = v
				}
				v := diemVisit{body: body}
				missing := part
				if m["jobid"] != nil { // then that is what is not there
					missing = "could not be found"
				}
				if v.want, v.status = same(status, missing); id == "<config>" { // which this door does not know
					v.want, v.status = [2]string{}, statuses{{200, 404, 406}, {200, 404, 406}}
				}
				all = append(all, v)
			}
		}
		return all
	}
	list := []diemVisit{{body: map[string]any{}, status: statuses{{200}, {200}}}, {body: map[string]any{"query": map[string]any{"search": "name", "reference": "theirs"}}, status: statuses{{200}, {200}}}}
	start := []map[string]any{{"action": "start"}, {"action": "stop"}, {"action": "status"}, {"action": "stop", "jobid": "<running>"}, {"action": "status", "jobid": "<job>"}}
	return map[string][]diemVisit{
		"apijob":       each(200, `"error":"document <object> could not be found"`, start...),
		"services":     each(404, "not found"),
		"jobactions":   each(404, "document <object> not found", start[:2]...),
		"jobs":         list,
		"joblog":       list,
		"jobdetail":    each(404, "document <object> not found"),
		"pipelinejobs": each(404, "document <object> not found"),
		"getfiles":     {{body: map[string]any{"selector": ""}, status: statuses{{200}, {200}}, want: [2]string{"", "You don't have enough rights to view files"}}},
		"filedownload": {{body: map[string]any{"id": "run.sh"}, status: statuses{{404}, {403}}, want: [2]string{"not found", "Forbidden"}}},
		"filedelete":   {{body: map[string]any{"id": "run.sh"}, status: statuses{{200}, {403}}, want: [2]string{"success", "Forbidden"}}},
		"fileupload":   {{status: statuses{{200}, {403}}, want: [2]string{"success", "Forbidden"}}},
		":function":    {{body: map[string]any{}, status: statuses{{404}, {404}}}},
	}
}()

func diemWalk() door {
	return door{
		bases: []string{"/etl-mgr"}, register: diem.Register,
		visits: func(w *world, c caller, method, pattern string) (all []visit, missing string) {
			function := strings.TrimPrefix(pattern, "/api/")
			some, found := diemVisits[function]
			if !found {
				return nil, "diemVisits lacks it"
			}
			fill := func(s string) string {
				for name, value := range w.theirs {
					s = strings.ReplaceAll(s, "<"+name+">", value)
				}
				return s
			}
			who := 0
			if c.name == general {
				who = 1
			}
			for _, one := range some {
				v := visit{want: one.status, call: call{
					method: method, path: strings.ReplaceAll(pattern, ":function", "pipelinejob"), kind: "application/json", headers: map[string]string{"x-api-key": c.key},
				}}
				if function == "fileupload" {
					v.call.body, v.call.kind = upload()
				} else {
					text, err := json.Marshal(one.body)
					if err != nil {
						panic(err)
					}
					v.call.body = []byte(fill(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(text))))
				}
				part := fill(one.want[who])
				v.says = func(a answer) bool { return method == http.MethodHead || strings.Contains(a.text, part) }
				all = append(all, v)
			}
			return all, ""
		},
		unbuilt: func(answer) bool { return false },
		fault:   func(answer) bool { return true }, // see diemVisit.want
	}
}

// upload is a form with one file, named as one of theirs.
func upload() (body []byte, kind string) {
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	part, err := form.CreateFormFile("file", "run.sh")
	if err == nil {
		_, err = part.Write([]byte("mine"))
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		panic(err)
	}
	return b.Bytes(), form.FormDataContentType()
}
