package native_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// theirs is what the admin of account 1 has: an id for each place of a path.
type theirs struct{ config, objectID, job, delivery, destination, worker, link, key, policy string }

func (f *fixture) theirs(t *testing.T) (all theirs) {
	all.config = f.config("theirs", "run.sh")
	f.do("PATCH", "/api/jobconfigs/"+all.config, `{"callbacks":[{"url":"https://a.example"}]}`).want(t, 200, "")
	f.do("POST", "/api/jobconfigs/"+all.config+"/schedule", `{"cronSchedule":"0 3 * * *"}`).want(t, 201, "")
	f.do("POST", "/api/jobconfigs/"+all.config+"/subscription", `{"recipients":["a@example.com"]}`).want(t, 201, "")
	for _, owner := range []string{"/account/1", "/users/1"} {
		f.do("POST", "/api"+owner+"/files?key=run.sh", "theirs", header("Content-Type", "")).want(t, 201, "")
	}
	f.do("POST", "/api/account/1/files?key=lib.sh", "theirs", header("Content-Type", "")).want(t, 201, "")
	all.link, _ = f.do("POST", "/api/jobconfigs/"+all.config+"/filelinks", `{"entityType":"ACCOUNT","fileName":"lib.sh"}`).want(t, 201, "").json["linkId"].(string)
	all.objectID, _ = f.do("GET", "/api/jobconfigs/"+all.config, nil).json["objectId"].(string)
	id := f.start(all.config)
	f.raise(id, 3, "r1")
	all.job = string(id)
	deliveries := f.do("GET", "/api/jobs/"+all.job+"/deliveries", nil).want(t, 200, "").json["items"].([]any)
	all.delivery, _ = deliveries[0].(map[string]any)["id"].(string)
	all.policy = f.policy(t, "theirs", "1", "jobconfigs", []string{"*"}, all.config)
	all.destination, _ = f.do("POST", "/api/destinations", `{"name":"south"}`).want(t, 201, "").json["id"].(string)
	destination, err := f.Store.Destination(t.Context(), 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	all.key, _ = f.do("POST", "/api/apikeys", `{"name":"theirs"}`).want(t, 201, "").json["id"].(string)
	all.worker = f.beat("1@a", destination.TaskQueue).ID
	f.Pass(3 * time.Second) // what is known of workers is by then found out anew
	return all
}

// path puts the ids into a route of the document.
func (all theirs) path(t *testing.T, route string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(route, "/"), "/")
	ids := map[string]string{
		"{id}": map[string]string{"jobconfigs": all.config, "jobs": all.job, "destinations": all.destination, "workers": all.worker, "apikeys": all.key,
			"account": "1", "users": "1", "access": all.policy}[first],
		"{key}": "run.sh", "{recordId}": "r1", "{number}": "1", "{delivery}": all.delivery, "{linkid}": all.link, "{policy}": all.policy, "{messagename}": "reply",
	}
	path := regexp.MustCompile(`\{\w+\}`).ReplaceAllStringFunc(route, func(name string) string {
		if ids[name] == "" {
			t.Errorf("this test does not know what to put into %s", route)
		}
		return ids[name]
	})
	if route == "/account/destination" {
		path += "?destinationId=" + all.destination
	}
	return path
}

// routes lists the operations of the document, the same order every time; what deletes comes last.
func (f *fixture) routes(t *testing.T) []string {
	t.Helper()
	var document struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal([]byte(f.do("GET", "/openapi.json", nil, noToken).text), &document); err != nil {
		t.Fatal(err)
	}
	var out []string
	for path, methods := range document.Paths {
		for method := range maps.Keys(methods) {
			if method = strings.ToUpper(method); slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}, method) {
				out = append(out, method+" "+path)
			}
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		rank := func(s string) string {
			return map[bool]string{true: "1", false: "0"}[strings.HasPrefix(s, "DELETE")] + s
		}
		return strings.Compare(rank(a), rank(b))
	})
	return out
}
