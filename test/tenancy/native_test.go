package tenancy

import (
	"encoding/json"
	"net/http"
	"strings"

	"waybill/api/native"
)

// nativeParams say what stands for a parameter of a path, by the first part of the path and the parameter's name. What is true of all
// paths has no first part.
var nativeParams = map[string]string{
	"jobconfigs :id": "config", "jobs :id": "job", "destinations :id": "destination", "workers :id": "worker", "account :id": "account",
	"users :id": "user", "apikeys :id": "apikey", "access :id": "policy",
	":recordId": "record", ":number": "attempt", ":delivery": "delivery", ":linkid": "link", ":messagename": "message", ":policy": "policy", ":type": "type",
}

// nativeTails are the ends that a path with a catch-all may have.
var nativeTails = map[string][]string{
	"files/*tail":     {"run.sh", "run.sh/versions", "entrypoints/run.sh"},
	"out/files/*tail": {"run.sh"},
}

// nativePlain are the routes that name nothing: what they answer the admin of another account and a general user. Every route that names
// nothing must be here.
var nativePlain = map[string]statuses{
	"GET /access/authorize": {{200}, {403}}, "GET /access/permissions": {{200}, {200}}, "GET /access/resourcetypes": {{200}, {200}},
	"GET /access/policies": {{200}, {403}}, "POST /access/policies": {{201, 409}, {403}}, "GET /users/access/policies": {{200}, {403}},
	"GET /account": {{200}, {200}}, "PUT /account": {{200}, {403}}, "PATCH /account": {{200}, {403}}, "GET /account/retention": {{200}, {200}},
	"POST /account/retention/run": {{202}, {403}}, "PUT /account/destination": {{404}, {403}}, "DELETE /account/destination": {{404}, {403}},
	"GET /apikeys": {{200}, {200}}, "POST /apikeys": {{201}, {201}},
	"GET /audit": {{200}, {403}}, "GET /audit/export": {{200}, {403}},
	"GET /destinations": {{200}, {200}}, "POST /destinations": {{201, 409}, {403}}, "GET /workers": {{200}, {200}},
	"GET /jobconfigs": {{200}, {200}}, "POST /jobconfigs": {{201, 409}, {201, 409}}, "GET /jobconfigs/dropdown": {{200}, {200}},
	"PATCH /jobconfigs/activate": {{404}, {403}}, "PATCH /jobconfigs/deactivate": {{404}, {403}}, "DELETE /jobconfigs/delete": {{404}, {403}},
	"GET /jobs": {{200}, {200}}, "GET /jobs/pending": {{200}, {200}}, "GET /jobs/running": {{200}, {200}}, "GET /jobs/unfinished": {{200}, {200}}, "GET /jobstats": {{200}, {200}},
	"DELETE /jobs/stop": {{202}, {202}}, "POST /jobs/retry": {{202}, {202}}, // of many: each that is not the caller's is skipped
	"GET /user": {{200}, {200}}, "GET /users": {{200}, {200}}, "POST /users": {{400, 201, 409}, {403}}, "GET /users/dropdown": {{200}, {200}},
	"PATCH /users/activate": {{404}, {403}}, "PATCH /users/deactivate": {{404}, {403}},
	"GET /events": {{200}, {200}}, "GET /product/info": {{200}, {200}}, "POST /login": {{400}, {400}}, "POST /login/refresh": {{400}, {400}}, "POST /logout": {{204}, {204}},
}

// nativeNamed are the routes that name something and yet answer other than 404 to strangers and 403 to general users.
var nativeNamed = map[string]statuses{
	"GET /destinations/:id":                        {{404}, {200}}, // everybody of the account sees where jobs can run
	"GET /account/:id/files":                       {{404}, {200}}, // and the files of the account
	"GET /account/:id/files/run.sh":                {{404}, {200}},
	"GET /account/:id/files/run.sh/versions":       {{404}, {200}},
	"GET /account/:id/files/entrypoints/run.sh":    {{404}, {400}}, // no archive
	"GET /jobconfigs/:id/files/entrypoints/run.sh": {{404}, {403}},
}

// nativeLast are the routes after which a caller has nothing more to show.
var nativeLast = map[string]bool{"POST /logout": true}

func nativeWalk() door {
	return door{
		bases: []string{"/api", "/v2/api"}, register: native.Register, last: nativeLast,
		visits: func(w *world, c caller, method, pattern string) ([]visit, string) {
			var all []visit
			tails := []string{""}
			head := pattern
			for end, list := range nativeTails {
				if before, found := strings.CutSuffix(pattern, end); found && (end != "files/*tail" || !strings.HasSuffix(before, "out/")) {
					head, tails = before+strings.TrimSuffix(end, "*tail"), list
				}
			}
			for _, tail := range tails {
				if tail != "run.sh" && tail != "" && method != http.MethodGet {
					continue
				}
				v, missing := nativeVisit(w, c, method, head+tail)
				if missing != "" {
					return nil, missing
				}
				all = append(all, v)
			}
			return all, ""
		},
		unbuilt: func(a answer) bool { return a.status == 404 && a.json["code"] == "not_supported" },
		fault: func(a answer) bool {
			code, _ := a.json["code"].(string)
			return map[int]string{401: "token", 403: "access_denied", 404: "not_found"}[a.status] == code
		},
	}
}

// nativeVisit makes the call of a route as dangerous as the route allows.
func nativeVisit(w *world, c caller, method, pattern string) (visit, string) {
	parts := strings.Split(pattern, "/")
	named := false
	for i, part := range parts {
		if !strings.HasPrefix(part, ":") {
			continue
		}
		named = true
		what, found := nativeParams[parts[1]+" "+part]
		if !found {
			what, found = nativeParams[part]
		}
		if !found {
			if parts[i] = "1"; !mayBeUnbuilt(parts[1], pattern) {
				return visit{}, "what stands for " + part + "?"
			}
			continue
		}
		parts[i] = w.theirs[what]
	}
	v := visit{call: call{method: method, path: strings.Join(parts, "/"), kind: "application/json", headers: map[string]string{"Authorization": "Bearer " + c.token}}}
	route := method + " " + pattern
	v.want = statuses{{404}, {403}}
	if other, found := nativeNamed[route]; found {
		v.want = other
	}
	if !named {
		want, found := nativePlain[route]
		if !found && !mayBeUnbuilt(parts[1], pattern) {
			return visit{}, "what does it answer to strangers?"
		}
		v.want = want
	}
	switch {
	case strings.Contains(pattern, "/files") && method != http.MethodGet && method != http.MethodDelete:
		v.call.path += "?key=run.sh"
		v.call.kind, v.call.body = "", []byte("mine")
	case method != http.MethodGet:
		v.call.body = nativeBody(w)
	}
	switch route {
	case "PUT /account/destination", "DELETE /account/destination":
		v.call.path += "?destinationId=" + w.theirs["destination"]
	case "GET /access/authorize":
		v.call.path += "?action=create&resourcetype=jobconfigs"
		if c.name == general {
			v.call.path += "&user=1"
		}
	case "GET /access/permissions":
		v.call.path += "?resourcetype=jobconfigs"
	case "GET /events":
		v.call.endless = true
	case "POST /login", "POST /login/refresh":
		v.call.body = []byte(`{}`)
	}
	return v, ""
}

// mayBeUnbuilt tells whether a route may be one that is not there yet: then the answer is looked at.
func mayBeUnbuilt(first, pattern string) bool {
	for _, there := range []string{"access", "apikeys", "audit", "destinations", "workers", "jobs", "events"} {
		if first == there && pattern != "/jobs/package" {
			return false
		}
	}
	return true
}

// nativeBody would do something on any route that takes one.
func nativeBody(w *world) []byte {
	text, err := json.Marshal(map[string]any{
		"recordIds": []string{w.theirs["config"], w.theirs["job"], w.theirs["queued"], w.theirs["running"], "r1"}, "name": "mine", "description": "mine", "cronSchedule": "0 4 * * *",
		"all": false, "recipients": []string{"mine@example.com"}, "data": "mine", "note": "mine", "from": "2026-03-16T00:00:00Z", "to": "2026-03-17T00:00:00Z",
		"includeRunning": true, "force": true, "entityType": "ACCOUNT", "fileName": "run.sh", "accessPolicyIds": []string{w.theirs["policy"]}, "id": "1",
		"username": "mine", "password": "a-long-example-password", "permissions": []any{}, "value": "mine",
	})
	if err != nil {
		panic(err)
	}
	return text
}
