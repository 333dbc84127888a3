package tenancy

import (
	"encoding/json"
	"strings"

	"waybill/api/informatica"
)

// informaticaVisit is one call of a route of the door: the query and the body name what is theirs by the names of world.theirs.
type informaticaVisit struct {
	query string
	body  map[string]string
	want  statuses
	id    string // what of theirs the path names; empty: the job
}

// informaticaVisits are the calls of every route.
var informaticaVisits = func() map[string][]informaticaVisit {
	refused, list := statuses{{404}, {403}}, statuses{{200}, {200}}
	task := func(more map[string]string) (all []informaticaVisit) {
		for _, name := range []string{"taskId", "taskFederatedId", "taskName"} {
			for _, is := range []string{"config", "object"} {
				body := map[string]string{name: "<" + is + ">", "taskType": "MTT"}
				if name == "taskName" {
					body[name] = "theirs-orders"
				}
				for k, v := range more {
					body[k] = v
				}
				all = append(all, informaticaVisit{body: body, want: refused})
			}
		}
		return all
	}
	return map[string][]informaticaVisit{
		"POST /ma/api/v2/user/login":                           {{want: statuses{{400}, {400}}}},
		"POST /ma/api/v2/user/logout":                          {{want: list}},
		"POST /ma/api/v2/user/logoutall":                       {{body: map[string]string{"username": "admin", "password": "wrong-password"}, want: statuses{{401}, {401}}}},
		"POST /saas/api/v2/user/logout":                        {{want: list}},
		"POST /saas/api/v2/user/validSessionId":                {{body: map[string]string{"userName": "admin", "icToken": "<job>"}, want: list}},
		"POST /saas/public/core/v3/login":                      {{want: statuses{{400}, {400}}}},
		"POST /saas/api/v2/job":                                task(nil),
		"POST /saas/api/v2/job/stop":                           task(map[string]string{"cleanStop": "true"}),
		"GET /saas/api/v2/activity/activityMonitor":            {{want: list}, {query: "?details=true&taskId=<object>", want: list}, {query: "?taskId=<config>&runId=1", want: list}},
		"GET /saas/api/v2/activity/activityLog":                {{want: list}, {query: "?taskId=<object>", want: list}, {query: "?taskId=<config>&runId=1", want: list}},
		"GET /saas/api/v2/activity/activityLog/:id":            {{want: refused}},
		"GET /saas/api/v2/activity/activityLog/:id/sessionLog": {{want: refused}, {query: "?itemId=1", want: refused}},
		"GET /saas/api/v2/activity/errorLog/:id":               {{want: refused}},
		"GET /saas/api/v2/task":                                {{want: list}},
		"GET /saas/api/v2/schedule":                            {{want: list}},
		"POST /saas/api/v2/schedule":                           {{want: statuses{{400}, {400}}}},
		"GET /saas/api/v2/schedule/:id":                        {{id: "shared", want: refused}},
		"POST /saas/api/v2/schedule/:id":                       {{id: "shared", body: map[string]string{"description": "mine"}, want: refused}},
		"DELETE /saas/api/v2/schedule/:id":                     {{id: "shared", want: refused}},
		"GET /saas/api/v2/schedule/name/:name":                 {{want: statuses{{404}, {404}}}},
		"POST /saas/api/v2/mttask/:id":                         {{id: "object", body: map[string]string{"scheduleId": "<shared>"}, want: refused}, {id: "config", body: map[string]string{"scheduleId": ""}, want: refused}},
	}
}()

func informaticaWalk() door {
	return door{
		bases: []string{"/ma", "/saas"}, register: informatica.Register,
		last: map[string]bool{"POST /api/v2/user/logout": true},
		visits: func(w *world, c caller, method, pattern string) (all []visit, missing string) {
			base := "/saas"
			if strings.HasPrefix(pattern, "/api/v2/user/") && informaticaVisits[method+" /ma"+pattern] != nil {
				base = "/ma" // which answers as the other does, where both have the route
			}
			some, found := informaticaVisits[method+" "+base+pattern]
			if !found {
				return nil, "informaticaVisits lacks it"
			}
			for _, one := range some {
				fill := func(s string) string {
					for name, value := range w.theirs {
						s = strings.ReplaceAll(s, "<"+name+">", value)
					}
					return s
				}
				body := map[string]any{}
				for k, v := range one.body {
					body[k] = fill(v)
					if v == "true" {
						body[k] = true
					}
				}
				id := w.theirs["job"]
				if one.id != "" {
					id = w.theirs[one.id]
				}
				text, err := json.Marshal(body)
				if err != nil {
					panic(err)
				}
				all = append(all, visit{want: one.want, call: call{
					method: method, path: strings.NewReplacer(":id", id, ":name", "theirs-nightly").Replace(pattern) + fill(one.query), kind: "application/json", body: text,
					headers: map[string]string{"icSessionId": c.session, "INFA-SESSION-ID": c.session, "Accept": "application/json"},
				}})
			}
			return all, ""
		},
		unbuilt: func(answer) bool { return false },
		fault:   func(a answer) bool { return a.json["@type"] == "error" && a.json["code"] != "" },
	}
}
