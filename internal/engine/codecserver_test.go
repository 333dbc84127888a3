package engine

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"

	"waybill/internal/job"
	"waybill/internal/secret"
)

// may lets in whoever shows the token "admin".
func may(r *http.Request) (string, error) {
	switch r.Header.Get("Authorization") {
	case "Bearer admin":
		return "admin", nil
	case "":
		return "", job.Errorf(job.Unauthenticated, job.WordTokenMissing, "Access token is missing")
	case "Bearer outage":
		return "", job.Errorf(job.Unavailable, job.WordDependencyDown, "the database at db:5432 is down")
	}
	return "", job.Errorf(job.Forbidden, job.WordAccessDenied, "Only admins may")
}

func newCodecServer(t *testing.T, c *Codec) (*CodecServer, *httptest.Server) {
	t.Helper()
	s := &CodecServer{Codec: c, May: may, Origins: []string{"https://ui.example.com"}, Log: slog.New(slog.DiscardHandler)}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return s, h
}

func call(t *testing.T, method, url, auth, origin string, body []byte) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Authorization": auth, "Origin": origin} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer, text.String()
}

func TestOnlyThoseWhoMayHavePayloadsOpened(t *testing.T) {
	c := codecOf(ring(secret.NewKey()), true)
	s, h := newCodecServer(t, c)
	var audit []string
	s.Audit = func(_ *http.Request, user, did string) { audit = append(audit, user+" "+did) }
	sealed, _ := c.Encode([]*commonpb.Payload{payload(t, "private")})
	gone, _ := codecOf(ring(secret.NewKey()), true).Encode([]*commonpb.Payload{payload(t, "lost")})
	body, err := protojson.Marshal(&commonpb.Payloads{Payloads: append(sealed, gone...)})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		auth, origin string
		status       int
	}{
		{"Bearer admin", "", 200}, {"Bearer admin", "https://ui.example.com", 200}, {"Bearer admin", "https://evil.example.com", 403},
		{"", "", 401}, {"Bearer user", "", 403}, {"Bearer outage", "", 503},
	} {
		answer, text := call(t, http.MethodPost, h.URL+"/codec/decode", test.auth, test.origin, body)
		if answer.StatusCode != test.status {
			t.Errorf("%q from %q: %d %s", test.auth, test.origin, answer.StatusCode, text)
		}
		if answer.Header.Get("Cache-Control") != "no-store" || strings.Contains(text, "db:5432") {
			t.Errorf("%q: %v %s", test.auth, answer.Header, text)
		}
		allowed := answer.Header.Get("Access-Control-Allow-Origin")
		if want := strings.ReplaceAll(test.origin, "https://evil.example.com", ""); allowed != want {
			t.Errorf("the origin %q is allowed, want %q", allowed, want)
		}
		if test.status != 200 {
			continue
		}
		var opened commonpb.Payloads
		if err := protojson.Unmarshal([]byte(text), &opened); err != nil {
			t.Fatal(err)
		}
		if got := string(opened.Payloads[0].GetData()); got != `"private"` {
			t.Errorf("opened %s", got)
		}
		if KeyOf(opened.Payloads[1]) == "" {
			t.Error("what no key opens is not left as it is")
		}
	}
	if len(audit) != 1 || audit[0] != "admin decode" {
		t.Errorf("told %q", audit)
	}
}

func TestTheCodecServerHasLimits(t *testing.T) {
	_, h := newCodecServer(t, codecOf(ring(secret.NewKey()), true))
	if answer, text := call(t, http.MethodPost, h.URL+"/decode", "Bearer admin", "", make([]byte, codecBody+1)); answer.StatusCode != 413 {
		t.Errorf("a body that is too large: %d %s", answer.StatusCode, text)
	}
	// Small in a body, large in memory.
	many := []byte(`{"payloads":[` + strings.Repeat("{},", codecSigns/2) + `{}]}`)
	if answer, text := call(t, http.MethodPost, h.URL+"/encode", "Bearer admin", "", many); answer.StatusCode != 413 {
		t.Errorf("very many payloads: %d %.100s", answer.StatusCode, text)
	}
	if answer, text := call(t, http.MethodPost, h.URL+"/encode", "Bearer admin", "", []byte(`{"payloads":[`+strings.Repeat("{},", 999)+`{}]}`)); answer.StatusCode != 200 {
		t.Errorf("a thousand payloads: %d %.100s", answer.StatusCode, text)
	}
	for _, path := range []string{"/", "/decode/x", "/other"} {
		if answer, _ := call(t, http.MethodPost, h.URL+path, "Bearer admin", "", nil); answer.StatusCode != 404 {
			t.Errorf("%s: %d", path, answer.StatusCode)
		}
	}
	if answer, _ := call(t, http.MethodGet, h.URL+"/decode", "Bearer admin", "", nil); answer.StatusCode != 404 {
		t.Errorf("GET: %d", answer.StatusCode)
	}
	answer, _ := call(t, http.MethodOptions, h.URL+"/decode", "", "https://ui.example.com", nil)
	if answer.StatusCode != 204 || !strings.Contains(answer.Header.Get("Access-Control-Allow-Headers"), "X-Namespace") {
		t.Errorf("preflight: %d %v", answer.StatusCode, answer.Header)
	}
	for n := 0; ; n++ {
		answer, _ := call(t, http.MethodPost, h.URL+"/decode", "Bearer admin", "", []byte("{}"))
		if answer.StatusCode == 429 {
			break
		}
		if n > 100*codecBurst {
			t.Fatal("calls are not limited")
		}
	}
}

// open runs a workflow on a queue of its own that waits for its end, and gives its id.
func openWorkflow(t *testing.T, c client.Client, argument any) (id string, end func()) {
	t.Helper()
	queue := "engine-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	w := worker.New(c, queue, worker.Options{})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context, arg string) (string, error) {
		var more string
		workflow.GetSignalChannel(ctx, "go").Receive(ctx, &more)
		return arg + more, nil
	}, workflow.RegisterOptions{Name: "Wait"})
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: queue, TaskQueue: queue}, "Wait", argument)
	if err != nil {
		t.Fatal(err)
	}
	return queue, func() {
		if err := c.SignalWorkflow(t.Context(), queue, "", "go", "-and-more"); err != nil {
			t.Fatal(err)
		}
		var out string
		if err := run.Get(t.Context(), &out); err != nil || out != "very-private-and-more" {
			t.Fatalf("the workflow gave %q, %v", out, err)
		}
	}
}

func TestTheTemporalCommandShowsPayloadsThroughTheCodecServerOnly(t *testing.T) {
	command, err := exec.LookPath("temporal")
	if err != nil {
		t.Skip("the temporal command is not installed")
	}
	codec := codecOf(ring(secret.NewKey()), true)
	c, err := Dial(t.Context(), Options{Address: temporalAddress(t), Namespace: "default", Codec: codec})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	id, end := openWorkflow(t, c, "very-private")
	end()
	_, h := newCodecServer(t, codec)
	show := func(more ...string) string {
		args := append([]string{"workflow", "show", "--address", temporalAddress(t), "-w", id, "-o", "json"}, more...)
		out, err := exec.CommandContext(t.Context(), command, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("temporal %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	texts := func(history string) string {
		var all struct {
			Events []map[string]any `json:"events"`
		}
		if err := json.Unmarshal([]byte(history), &all); err != nil {
			t.Fatal(err)
		}
		var found []string
		collectData(all.Events, &found)
		return strings.Join(found, " ")
	}
	if got := texts(show()); strings.Contains(got, "private") || got == "" {
		t.Errorf("without the codec server: %s", got)
	}
	got := texts(show("--codec-endpoint", h.URL+"/codec", "--codec-auth", "Bearer admin"))
	if got != `"very-private" "-and-more" "very-private-and-more"` {
		t.Errorf("with it: %s", got)
	}
}

// collectData finds the data of payloads, in order of the history.
func collectData(in any, found *[]string) {
	switch v := in.(type) {
	case []map[string]any:
		for _, e := range v {
			collectData(e, found)
		}
	case []any:
		for _, e := range v {
			collectData(e, found)
		}
	case map[string]any:
		for key, e := range v {
			var data []byte
			if text, ok := e.(string); key == "data" && ok && json.Unmarshal([]byte(strconv.Quote(text)), &data) == nil {
				*found = append(*found, string(data))
			} else if key != "searchAttributes" {
				collectData(e, found)
			}
		}
	}
}
