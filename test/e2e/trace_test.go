package e2e

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	resource "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// traces is a collector: it takes spans over OTLP, by gRPC and by HTTP.
type traces struct {
	collector.UnimplementedTraceServiceServer
	grpc, http string // URLs

	mu    sync.Mutex
	spans []span
}

// span is a span with the service that sent it.
type span struct {
	*trace.Span
	service string
}

func newTraces(t *testing.T) *traces {
	t.Helper()
	c := &traces{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, c)
	go func() { _ = server.Serve(listener) }() // ends with Stop
	t.Cleanup(server.Stop)
	c.grpc = "http://" + listener.Addr().String()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		request := &collector.ExportTraceServiceRequest{}
		if err == nil {
			err = proto.Unmarshal(body, request)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			http.Error(w, fmt.Sprint(err), http.StatusBadRequest)
			return
		}
		answer, _ := c.Export(r.Context(), request)
		body, _ = proto.Marshal(answer)
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(body)
	}))
	t.Cleanup(web.Close)
	c.http = web.URL
	return c
}

// Export is the collector's.
func (c *traces) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range r.ResourceSpans {
		service := attributeOf(of.Resource.Attributes, "service.name")
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, span{s, service})
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func attributeOf(list []*resource.KeyValue, key string) string {
	for _, kv := range list {
		if kv.Key == key {
			if v, ok := kv.Value.Value.(*resource.AnyValue_StringValue); ok {
				return v.StringValue
			}
			return kv.Value.String()
		}
	}
	return ""
}

// of gives the spans of a trace by their ids.
func (c *traces) of(id string) map[string]span {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := map[string]span{}
	for _, s := range c.spans {
		if hex.EncodeToString(s.TraceId) == id {
			found[hex.EncodeToString(s.SpanId)] = s
		}
	}
	return found
}

// named gives a span of a trace.
func named(spans map[string]span, name string) (span, bool) {
	for _, s := range spans {
		if s.Name == name {
			return s, true
		}
	}
	return span{}, false
}

// awaits waits until a trace has the spans, and every span in it hangs below another or below the caller's.
func (c *traces) awaits(t *testing.T, id, caller string, names ...string) (spans map[string]span) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		spans = c.of(id)
		for _, name := range names {
			if _, there := named(spans, name); !there {
				return fmt.Errorf("trace %s has no span %q but %q", id, name, namesOf(spans))
			}
		}
		for _, s := range spans {
			above := hex.EncodeToString(s.ParentSpanId)
			if _, there := spans[above]; !there && above != caller {
				return fmt.Errorf("the span %q of trace %s hangs below %q, which nobody sent", s.Name, id, above)
			}
		}
		return nil
	})
	return spans
}

func namesOf(spans map[string]span) (names []string) {
	for _, s := range spans {
		names = append(names, s.Name)
	}
	return names
}

// lineage lists the names of a span and all above it.
func lineage(spans map[string]span, id string) (names []string) {
	for s, there := spans[id]; there; s, there = spans[hex.EncodeToString(s.ParentSpanId)] {
		names = append(names, s.service+" "+s.Name)
	}
	return names
}

// TestOneTraceFromTheRequestToTheProgram follows a job over the process that serves REST, the one that runs it, its program and
// the callback that tells of it. What the caller began goes on in all of them, and nothing secret is told.
func TestOneTraceFromTheRequestToTheProgram(t *testing.T) {
	t.Parallel()
	const (
		traceID, spanID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
		secret          = "e2e-secret-in-no-span"
	)
	sink := newTraces(t)
	o := options{data: folder(t), args: []string{
		"--no-worker", "--callbacks-allow-private", "--otlp-endpoint", sink.grpc, "--otlp-protocol", "grpc", "--log-format", "json", "--access-log", "on",
	}}
	p := start(t, o)
	c := p.admin(t)
	pool := c.do(t, http.StatusCreated, http.MethodPost, "/api/destinations", object{"name": "traced"}).object(t).text("id")
	startWorker(t, o.data, "--destination", "traced", "--otlp-endpoint", sink.http, "--otlp-protocol", "http/protobuf")
	hook := newReceiver(t, 0)
	s := script(`echo "TRACEPARENT=$TRACEPARENT TRACESTATE=$TRACESTATE"; echo out > "$LOCAL_JOB_OUT_DIR/out.txt"`)
	s.config = object{"destinationId": pool, "callbacks": []object{{"url": hook.url, "events": []string{"job.completed"}}}}
	s.runtime = object{"macros": []object{{"key": "TOKEN", "value": secret, "secure": true}}}
	config := c.configure(t, "traced", s)

	answer := c.do(t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+config+"/jobs", nil,
		"Traceparent", "00-"+traceID+"-"+spanID+"-01", "Tracestate", "vendor=value")
	id := answer.object(t).text("id")
	expect(t, "the trace of the answer", answer.header.Get("Trace-Id"), traceID)
	expect(t, "the trace of the job", answer.object(t).text("traceId"), traceID)
	j := c.finish(t, id, time.Minute)
	expect(t, "the job's end", j.text("status"), "FINISHED")
	expect(t, "the trace of the job that ended", j.text("traceId"), traceID)

	spans := sink.awaits(t, traceID, spanID, "POST /api/jobconfigs/:id/jobs", "submit job", "INSERT jobs", "RunWorkflow:Job", "RunActivity:ExecutePackage",
		"fetch package", "prepare environment", "run program", "store outputs", "s3 PUT", "deliver webhook")
	_, told, found := strings.Cut(c.log(t, id), "TRACEPARENT=")
	told, state, _ := strings.Cut(strings.SplitN(told, "\n", 2)[0], " ")
	parts := strings.Split(told, "-")
	if !found || len(parts) != 4 || parts[1] != traceID || parts[3] != "01" || !strings.HasPrefix(state, "TRACESTATE=vendor=value") {
		t.Fatalf("the program was told %q %q", told, state)
	}
	want := []string{
		"waybill-worker run program", "waybill-worker RunActivity:ExecutePackage", "StartActivity:ExecutePackage", "RunWorkflow:Job",
		"waybill StartWorkflow:Job", "waybill submit job", "waybill POST /api/jobconfigs/:id/jobs",
	}
	got := lineage(spans, parts[2])
	for i, name := range want {
		if len(got) != len(want) || !strings.HasSuffix(got[i], name) {
			t.Fatalf("above the program lie %q, want %q", got, want)
		}
	}
	activity, _ := named(spans, "RunActivity:ExecutePackage")
	expect(t, "the job of the activity", attributeOf(activity.Attributes, "waybill.job"), id)

	call := hook.waits(t, 1)[0]
	if at := strings.Split(call.header.Get("Traceparent"), "-"); len(at) != 4 || at[1] != traceID {
		t.Errorf("the callback came with traceparent %q", call.header.Get("Traceparent"))
	} else if s := spans[at[2]]; s.Span == nil || s.Name != "deliver webhook" {
		t.Errorf("the callback's span is %v", s)
	}
	accessLine(t, p, traceID, answer.header.Get("X-Request-Id"))
	retriesAndFires(t, c, sink, config, id, traceID)
	for _, s := range spans {
		if strings.Contains(s.String(), secret) {
			t.Errorf("the span %q tells the secret", s.Name)
		}
	}
}

// accessLine looks for the line of the request in the log of the process that answered it.
func accessLine(t *testing.T, p *program, traceID, request string) {
	t.Helper()
	for line := range strings.SplitSeq(p.stderr.String(), "\n") {
		var l object
		if json.Unmarshal([]byte(line), &l) != nil || l.text("msg") != "request" || l.text("trace_id") != traceID {
			continue
		}
		expect(t, "the access line", l.text("request")+" "+l.text("method")+" "+l.text("route")+" "+l.text("user"),
			request+" POST /api/jobconfigs/:id/jobs admin")
		if status, _ := l["status"].(float64); status != http.StatusAccepted {
			t.Errorf("the access line tells status %v", l["status"])
		}
		return
	}
	t.Errorf("the log has no line of the request of trace %s:\n%s", traceID, tail(p.stderr.String(), 20))
}

// retriesAndFires checks that a retry and a fire of a schedule have traces of their own, which are linked to where they come from.
func retriesAndFires(t *testing.T, c *client, sink *traces, config, job, traceID string) {
	t.Helper()
	retry := c.do(t, http.StatusAccepted, http.MethodPost, "/api/jobs/"+job+"/retry", object{}).object(t)
	c.finish(t, retry.text("id"), time.Minute)
	own := retry.text("traceId")
	if own == "" || own == traceID {
		t.Fatalf("the retry is in trace %q, its parent in %q", own, traceID)
	}
	spans := sink.awaits(t, own, "", "retry job", "RunWorkflow:Retry", "RunWorkflow:Job", "run program")
	linked(t, spans, "retry job", traceID)

	path := "/api/jobconfigs/" + config + "/schedule"
	made := c.do(t, http.StatusCreated, http.MethodPost, path, object{"cronSchedule": "0 0 3 ? * MON", "timeZone": object{"id": "UTC"}})
	c.do(t, http.StatusAccepted, http.MethodPost, path+"/run", nil)
	fired := c.get(t, "/api/jobs/"+c.fired(t, config, "run", "started", 0).text("job.id"))
	c.finish(t, fired.text("id"), time.Minute)
	own = fired.text("traceId")
	if own == "" || own == made.header.Get("Trace-Id") {
		t.Fatalf("the fire is in trace %q, its schedule was made in %q", own, made.header.Get("Trace-Id"))
	}
	spans = sink.awaits(t, own, "", "RunWorkflow:Fire", "submit job", "RunWorkflow:Job", "run program")
	linked(t, spans, "RunWorkflow:Fire", made.header.Get("Trace-Id"))
}

func linked(t *testing.T, spans map[string]span, name, to string) {
	t.Helper()
	s, _ := named(spans, name)
	for _, l := range s.Links {
		if hex.EncodeToString(l.TraceId) == to {
			return
		}
	}
	t.Errorf("the span %q has the links %v, none to trace %s", name, s.Links, to)
}
