package native_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"go.yaml.in/yaml/v3"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

func TestRoutesThatAreNotThere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, path := range []string{"/", "/nothing", "/api", "/api/", "/api/nothing", "/v2/api/jobs/1/2/3", "/apix/jobs", "/api/jobs/", "/v2/jobs"} {
		f.do("GET", path, nil, noToken).fault(t, 404, "route_not_found", "")
	}
	for _, route := range []string{
		"GET /api/agents", "PUT /api/agents/1/x/y", "GET /api/jobtemplates", "POST /api/jobconfigs/1/clone", "GET /api/users/1/macros", "GET /api/users/1/preferences/x",
		"DELETE /v2/api/users/1/preferences/2", "POST /api/jobs/package", "GET /api/device/code",
		"POST /api/listener/orders-in", "GET /api/resources/x/y", "GET /api/integrations/1/jobs",
	} {
		method, path, _ := strings.Cut(route, " ")
		f.do(method, path, nil).fault(t, 404, "not_supported", "")
		f.do(method, path, nil, noToken).fault(t, 401, "token_missing", "")
	}
	for route, allow := range map[string]string{
		"PUT /api/jobs": "GET", "POST /api/jobs/69b9209b00000000000000c1": "DELETE, GET", "GET /api/login": "POST", "OPTIONS /api/jobconfigs": "GET, POST",
		"POST /api/jobconfigs/1/files/a/b": "DELETE, GET, PUT", "BREW /healthz": "GET", "HEAD /api/product/info": "GET",
	} {
		method, path, _ := strings.Cut(route, " ")
		r := f.do(method, path, nil, noToken)
		r.fault(t, 405, "method_not_allowed", "")
		got := strings.Split(r.Header().Get("Allow"), ", ")
		slices.Sort(got)
		if strings.Join(got, ", ") != allow {
			t.Errorf("%s: Allow %v", route, got)
		}
	}
}

func TestEveryReplyHasARequestIDAndSafeHeaders(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, path := range []string{"/api/jobs", "/healthz", "/nothing", "/api/agents", "/docs", "/metrics"} {
		r := f.do("GET", path, nil, header("X-Request-Id", "my-id/1"))
		if r.Header().Get("X-Request-Id") != "my-id/1" || r.Header().Get("X-Content-Type-Options") != "nosniff" ||
			r.Header().Get("X-Frame-Options") != "DENY" || r.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %v", path, r.Header())
		}
	}
	seen := map[string]bool{}
	for _, bad := range []string{"", "a b", "a\nb", "ä", strings.Repeat("x", 129)} {
		id := f.do("GET", "/api/jobs", nil, func(r *http.Request) { r.Header["X-Request-Id"] = []string{bad} }).Header().Get("X-Request-Id")
		if len(id) != 24 || seen[id] {
			t.Errorf("%q gives %q", bad, id)
		}
		seen[id] = true
	}
}

func TestDatesAreAsPreferred(t *testing.T) {
	t.Parallel()
	const medium, rfc = "Mar 17, 2026 9:40:58 AM", "2026-03-17T09:40:58Z"
	for _, setting := range []bool{false, true} {
		f := newFixture(t, func(c *api.Config) { c.RFC3339 = setting })
		plain := medium
		if setting {
			plain = rfc
		}
		for prefer, want := range map[string]string{
			"": plain, "dates=rfc3339": rfc, `respond-async, Dates="RFC3339"; x=y`: rfc, "dates=medium": medium, "dates=epoch": plain,
		} {
			r := f.do("GET", "/api/jobs/x", nil, header("Prefer", prefer))
			if r.json["timestamp"] != want {
				t.Errorf("api.dates rfc3339=%v, Prefer: %s: %v", setting, prefer, r.json["timestamp"])
			}
			applied := r.Header().Get("Preference-Applied")
			if (applied != "") != (r.Header().Get("Vary") == "Prefer") || (applied == "") != (prefer == "" || prefer == "dates=epoch") {
				t.Errorf("Prefer: %s: applied %q, Vary %q", prefer, applied, r.Header().Get("Vary"))
			}
		}
	}
}

// breaking is a reader of jobs that panics or fails.
type breaking struct {
	control.JobReader
	err error
}

func (b breaking) Job(context.Context, int64, job.ID) (job.Job, error) {
	if b.err == nil {
		panic("the secret is hunter2")
	}
	return job.Job{}, b.err
}

func TestDefectsAreLoggedAndHidden(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		code   string
		logged string
	}{
		"a panic":          {nil, 500, "internal_error", "hunter2"},
		"an unknown error": {errors.New("SELECT hunter2"), 500, "internal_error", "SELECT hunter2"},
		"a database that is down": {job.Wrap(errors.New("dial tcp 10.0.0.1"), job.Unavailable, job.WordDependencyDown, "The database does not answer"),
			503, "dependency_down", "dial tcp 10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.Jobs.Reader = breaking{f.Store, c.err}
			r := f.do("GET", "/api/jobs/69b9209b00000000000000c1", nil, header("X-Request-Id", "find-me"))
			r.fault(t, c.status, c.code, "")
			if strings.Contains(r.text, "hunter2") || strings.Contains(r.text, "10.0.0.1") {
				t.Errorf("shown: %s", r.text)
			}
			log := f.faults.String()
			if !strings.Contains(log, c.logged) || !strings.Contains(log, "find-me") || strings.Count(log, "level=ERROR") != 1 {
				t.Errorf("log: %s", log)
			}
			if (r.Header().Get("Retry-After") != "") != (c.status == 503) {
				t.Errorf("Retry-After %q", r.Header().Get("Retry-After"))
			}
		})
	}
}

func TestAClientThatIsGoneMakesNoNoise(t *testing.T) {
	t.Parallel()
	access := &syncBuffer{}
	f := newFixture(t, func(c *api.Config) { c.AccessLog = slog.New(slog.NewTextHandler(access, nil)) })
	id := f.start(f.config("sample config", "run.sh"))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	f.do("GET", "/api/jobs/"+string(id)+"?wait=30s", nil, func(r *http.Request) { *r = *r.WithContext(gone) })
	if log := f.faults.String(); log != "" {
		t.Errorf("faults: %s", log)
	}
	if !strings.Contains(access.String(), "status=499") || !strings.Contains(access.String(), "address=192.0.2.1") {
		t.Errorf("access log: %s", access.String())
	}
}

func TestHealthAndReadiness(t *testing.T) {
	t.Parallel()
	draining, drain := context.WithCancel(t.Context())
	checks := []api.CheckResult{{Name: "database"}, {Name: "objects"}, {Name: "engine"}}
	f := newFixture(t, func(c *api.Config) {
		c.Draining = draining
		c.Ready = func(context.Context) []api.CheckResult { return slices.Clone(checks) }
	})
	f.do("GET", "/healthz", nil, noToken).want(t, 200, `{"status":"up"}`)
	f.do("GET", "/readyz", nil, noToken).want(t, 200, `{"status":"up","checks":{"database":"up","objects":"up","engine":"up"}}`)
	// All processes lose a dependency together: a balancer that took them out would leave clients without an answer.
	for i, c := range checks {
		up := map[string]string{"database": "up", "objects": "up", "engine": "up"}
		up[c.Name] = "down"
		told, err := json.Marshal(map[string]any{"status": "degraded", "checks": up})
		if err != nil {
			t.Fatal(err)
		}
		checks[i].Err = errors.New("dial tcp 10.0.0.1: refused")
		if r := f.do("GET", "/readyz", nil, noToken).want(t, 200, string(told)); strings.Contains(r.text, "10.0.0.1") {
			t.Errorf("the cause is shown: %s", r.text)
		}
		checks[i].Err = nil
	}
	drain()
	f.do("GET", "/readyz", nil, noToken).want(t, 503, `{"status":"draining"}`)
	f.do("GET", "/healthz", nil, noToken).want(t, 200, `{"status":"up"}`)
}

func TestMetricsHaveBoundedLabels(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, path := range []string{"/api/jobs/1", "/api/jobs/2", "/nothing/1", "/nothing/2", "/api/jobconfigs/1/files/a/b"} {
		f.do("GET", path, nil)
	}
	f.do("BREW", "/api/jobs", nil)
	text := f.do("GET", "/metrics", nil, noToken).text
	for _, line := range []string{
		`waybill_http_requests_total{method="GET",route="/api/jobs/:id",status="404"} 2`,
		`waybill_http_requests_total{method="GET",route="unmatched",status="404"} 2`,
		`waybill_http_requests_total{method="GET",route="/api/jobconfigs/:id/files/*tail",status="404"} 1`,
		`waybill_http_requests_total{method="OTHER",route="unmatched",status="405"} 1`,
		`waybill_http_request_duration_seconds_count{method="GET",route="/api/jobs/:id"} 2`,
		"go_goroutines ", "process_cpu_seconds_total ",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("missing: %s", line)
		}
	}
	if strings.Contains(text, "nothing") || strings.Contains(text, "BREW") {
		t.Error("a client can make labels")
	}
}

func TestDocsPageNeedsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	page := f.do("GET", "/docs", nil, noToken)
	if page.Code != 200 || page.Header().Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(page.Header().Get("Content-Security-Policy"), "script-src 'self';") {
		t.Fatalf("%d %v", page.Code, page.Header())
	}
	links := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.text, -1)
	for _, link := range links {
		r := f.do("GET", link[1], nil, noToken)
		if !strings.HasPrefix(link[1], "/docs/") || r.Code != 200 || r.Body.Len() == 0 || strings.HasPrefix(r.Header().Get("Content-Type"), "application/json") {
			t.Errorf("%s: %d %v", link[1], r.Code, r.Header())
		}
	}
	if len(links) != 4 || strings.Contains(page.text, "<script>") {
		t.Errorf("%d links in %s", len(links), page.text)
	}
	for _, path := range []string{"/docs/swagger-ui.js.map", "/docs/none", "/docs/..%2fserver.go", "/docs/index.html"} {
		f.do("GET", path, nil, noToken).fault(t, 404, "route_not_found", "")
	}
}

// document reads the OpenAPI document as JSON and as YAML.
func document(t *testing.T, f *fixture) map[string]any {
	t.Helper()
	r := f.do("GET", "/openapi.json", nil, noToken)
	if r.Code != 200 || r.Header().Get("Content-Type") != "application/openapi+json" {
		t.Fatal(r.Code, r.Header())
	}
	var doc, fromYAML map[string]any
	if err := json.Unmarshal([]byte(r.text), &doc); err != nil {
		t.Fatal(err)
	}
	y := f.do("GET", "/openapi.yaml", nil, noToken)
	if err := yaml.Unmarshal([]byte(y.text), &fromYAML); err != nil || fromYAML["openapi"] != doc["openapi"] || y.Header().Get("Content-Type") != "application/openapi+yaml" {
		t.Errorf("yaml: %v %v", err, y.Header())
	}
	return doc
}

func TestDocumentIsWholeAndTrue(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	doc := document(t, f)
	if version, _ := doc["openapi"].(string); !strings.HasPrefix(version, "3.1.") {
		t.Errorf("version %q", version)
	}
	info := doc["info"].(map[string]any)
	if info["title"] == "" || info["version"] != "1.2.3" {
		t.Errorf("info %v", info)
	}
	servers, _ := json.Marshal(doc["servers"])
	if !strings.Contains(string(servers), `"/api"`) || !strings.Contains(string(servers), `"/v2/api"`) {
		t.Errorf("servers %s", servers)
	}
	documented := map[string]bool{}
	ids := map[string]bool{}
	for path, item := range doc["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			checkOperation(t, method+" "+path, path, op.(map[string]any), ids)
			for _, base := range []string{"/api", "/v2/api"} {
				documented[strings.ToUpper(method)+" "+base+path] = true
			}
		}
	}
	checkReferences(t, doc)
	checkRoutes(t, f, documented)
}

// bodyless are the writes that say all they have to say in their path and parameters.
var bodyless = map[string]bool{
	"put /users/{id}/access/policies/{policy}": true,
	"post /logout": true, "post /workers/{id}/drain": true, "post /workers/{id}/resume": true, "put /account/destination": true,
	"post /jobs/{id}/deliveries/{delivery}/redeliver": true,
}

// checkOperation looks for what OpenAPI 3.1 demands of an operation and what ours all have.
func checkOperation(t *testing.T, name, path string, op map[string]any, ids map[string]bool) {
	t.Helper()
	id, _ := op["operationId"].(string)
	if id == "" || ids[id] || op["summary"] == "" || op["tags"] == nil {
		t.Errorf("%s: operationId %q, summary %v, tags %v", name, id, op["summary"], op["tags"])
	}
	ids[id] = true
	inPath := map[string]bool{}
	parameters, _ := op["parameters"].([]any)
	for _, p := range parameters {
		parameter := p.(map[string]any)
		if parameter["in"] == "path" {
			inPath[parameter["name"].(string)] = true
			if parameter["required"] != true {
				t.Errorf("%s: %v is not required", name, parameter["name"])
			}
		}
		if parameter["schema"] == nil {
			t.Errorf("%s: %v has no schema", name, parameter["name"])
		}
	}
	for _, match := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(path, -1) {
		if !inPath[match[1]] {
			t.Errorf("%s: parameter %s is not documented", name, match[1])
		}
		delete(inPath, match[1])
	}
	if len(inPath) > 0 {
		t.Errorf("%s: parameters that are not in the path: %v", name, inPath)
	}
	responses, _ := op["responses"].(map[string]any)
	good := false
	for status, response := range responses {
		good = good || status[0] == '2' || status == "302"
		if response.(map[string]any)["description"] == "" {
			t.Errorf("%s: %s has no description", name, status)
		}
	}
	if !good || responses["default"] == nil || responses["422"] != nil {
		t.Errorf("%s: responses %v", name, responses)
	}
	writes := strings.HasPrefix(name, "put ") || strings.HasPrefix(name, "patch ") || strings.HasPrefix(name, "post ")
	if writes && !bodyless[name] && !strings.HasSuffix(path, "/run") && op["requestBody"] == nil {
		t.Errorf("%s: no request body", name)
	}
}

func checkReferences(t *testing.T, doc map[string]any) {
	t.Helper()
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	text, _ := json.Marshal(doc)
	used := map[string]bool{}
	for _, match := range regexp.MustCompile(`"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
		used[match[1]] = true
		if schemas[match[1]] == nil {
			t.Errorf("schema %s is not there", match[1])
		}
	}
	for _, name := range []string{"JobConfigRequest", "JobConfigResponse", "JobResponse", "FileResponse", "FilterRequest", "Fault", "LoginRequest"} {
		if !used[name] {
			t.Errorf("schema %s is not used; there are %d", name, len(schemas))
		}
	}
}

// operational routes are outside of the document: they are not part of the API but of running it.
var operational = []string{"GET /healthz", "GET /readyz", "GET /metrics", "GET /docs", "GET /docs/:file", "GET /openapi.json", "GET /openapi.yaml", "GET /openapi/:file", "GET /.well-known/jwks.json"}

// checkRoutes compares the document with what is served.
func checkRoutes(t *testing.T, f *fixture, documented map[string]bool) {
	t.Helper()
	parameter := regexp.MustCompile(`\{\w+\}`)
	for route := range documented {
		method, path, _ := strings.Cut(route, " ")
		r := f.do(method, parameter.ReplaceAllString(path, "1"), nil, noToken)
		switch code, _ := r.json["code"].(string); {
		case strings.Contains(path, "/login/oidc") && code == "not_supported": // it has no provider here
		case code == "route_not_found" || code == "method_not_allowed" || code == "not_supported":
			t.Errorf("%s is documented but not served: %s", route, r.text)
		}
	}
	patterns := map[string]bool{}
	for route := range documented {
		patterns[regexp.MustCompile(`/files/.*\{key\}.*$`).ReplaceAllString(regexp.MustCompile(`\{(\w+)\}`).ReplaceAllString(route, ":$1"), "/files/*tail")] = true
		patterns[regexp.MustCompile(`/files/.*:key.*$`).ReplaceAllString(regexp.MustCompile(`\{(\w+)\}`).ReplaceAllString(route, ":$1"), "/files/*tail")] = true
	}
	for _, route := range f.server.Routes() {
		if patterns[route] || slices.Contains(operational, route) {
			continue
		}
		method, path, _ := strings.Cut(route, " ")
		r := f.do(method, regexp.MustCompile(`[:*]\w+`).ReplaceAllString(path, "1"), nil)
		if r.json["code"] != "not_supported" {
			t.Errorf("%s is served but not documented: %d %s", route, r.Code, r.text)
		}
	}
}

func TestHumaFaultsTakeTheShapeOfTheDoor(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := api.Door{Name: "odd", Bases: []string{"/odd"}, Fault: func(_ *api.Request, err error) api.Fault {
		return oddFault{job.WordOf(err)}
	}}
	odd := f.server.AddDoor(d, huma.DefaultConfig("odd", "1"))
	huma.Register(odd, huma.Operation{Method: "POST", Path: "/x", OperationID: "x"}, func(context.Context, *struct {
		Body struct {
			N int `json:"n"`
		}
	}) (*struct{}, error) {
		return nil, nil
	})
	r := f.do("POST", "/odd/x", `{"n":"no number"}`)
	if r.Code != 418 || !strings.Contains(r.text, "invalid_field") {
		t.Errorf("%d %s", r.Code, r.text)
	}
	f.do("GET", "/api/jobs/x", nil).fault(t, 404, "not_found", "")
	if r := f.do("GET", "/odd/y", nil); r.Code != 418 {
		t.Errorf("%d %s", r.Code, r.text)
	}
}

type oddFault struct{ Word job.Word }

func (oddFault) Error() string           { return "odd" }
func (oddFault) GetStatus() int          { return 418 }
func (oddFault) GetHeaders() http.Header { return nil }

func TestServerNeedsItsParts(t *testing.T) {
	t.Parallel()
	_, err := api.New(api.Config{})
	if err == nil {
		t.Fatal("an empty config is taken")
	}
	for _, part := range []string{"Configs", "Files", "Jobs", "Sessions", "BaseURL", "CursorKey"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not missed: %v", part, err)
		}
	}
}

func TestBodiesTooLargeAreNotRead(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	server := httptest.NewServer(f.server)
	t.Cleanup(server.Close)
	request, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/api/login", io.LimitReader(neverEnding{}, 3<<20))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != 413 {
		t.Errorf("status %d", answer.StatusCode)
	}
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
