package native_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"waybill/api"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

// open makes a call over a real connection and gives its body while it is still being written.
func (f *fixture) open(t *testing.T, server *httptest.Server, path string, changes ...with) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+f.token)
	for _, change := range changes {
		change(request)
	}
	answer, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// event is one server-sent event.
type event struct{ id, name, data string }

// readEvents reads events until enough says so, or the stream ends.
func readEvents(t *testing.T, body io.Reader, enough func([]event) bool) []event {
	t.Helper()
	var (
		events []event
		e      event
	)
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		case "":
			if e.name != "" {
				events = append(events, e)
			}
			e = event{}
			if enough != nil && enough(events) {
				return events
			}
		}
	}
	return events
}

func shorten(events []event) []string {
	var out []string
	for _, e := range events {
		out = append(out, e.name+" "+e.data)
	}
	return out
}

func TestEventsOfAJobFromStartToEnd(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	server := httptest.NewServer(f.server)
	t.Cleanup(server.Close)
	id := f.start(f.config("sample config", "run.sh"))
	answer := f.open(t, server, "/api/jobs/"+string(id)+"/events")
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(answer.StatusCode, answer.Header)
	}
	var fence int64
	step := 0
	events := readEvents(t, answer.Body, func(seen []event) bool {
		last := seen[len(seen)-1]
		switch {
		case step == 0 && strings.Contains(last.data, "QUEUED"):
			fence = f.Take(t, 1, id)
			step++
		case step == 1 && last.name == "progress":
			f.Logs.Append(id, "one\ntwo\nthr")
			f.Jobs.Bell.Ring(id)
			step++
		case step == 2 && strings.Contains(last.data, "two"):
			f.Logs.Append(id, "ee\nlast without an end")
			f.Finish(t, 1, id, fence, controltest.Exit(0))
			step++
		}
		return false
	})
	want := []string{
		`status {"id":"` + string(id) + `","status":"QUEUED"}`,
		`status {"id":"` + string(id) + `","status":"INITIALIZING","reason":"initializing"}`,
		`status {"id":"` + string(id) + `","status":"RUNNING"}`,
		`progress {"step":"main","done":0,"total":1}`, `log {"line":"one"}`, `log {"line":"two"}`,
		`log {"line":"three"}`, `log {"line":"last without an end"}`,
		`status {"id":"` + string(id) + `","status":"FINISHED"}`,
	}
	// The end of the step comes somewhere among the last lines: it depends on whether a look falls between log and end.
	got, end := shorten(events), `progress {"step":"main","done":1,"total":1}`
	if at := slices.Index(got, end); at < slices.Index(got, want[5]) || at > len(got)-2 {
		t.Errorf("the end of the step is event %d of\n%s", at, strings.Join(got, "\n"))
	}
	if got = slices.DeleteFunc(got, func(s string) bool { return s == end }); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for i, e := range events { // from every event on, the rest comes, once
		rest := readEvents(t, f.open(t, server, "/api/jobs/"+string(id)+"/events", header("Last-Event-ID", e.id)).Body, nil)
		var missed []string
		for _, s := range shorten(events[i+1:]) {
			if strings.HasPrefix(s, "log ") || strings.HasPrefix(s, "status ") || strings.Contains(s, `"done":1`) {
				missed = append(missed, s)
			}
		}
		got := shorten(rest)
		slices.Sort(missed)
		slices.Sort(got)
		if !slices.Equal(got, missed) {
			t.Errorf("behind %s: got %q, want %q", e.id, got, missed)
		}
	}
	done := f.open(t, server, "/api/jobs/"+string(id)+"/events", header("Last-Event-ID", events[len(events)-1].id))
	if done.StatusCode != http.StatusNoContent {
		t.Errorf("nothing is left to tell, status %d", done.StatusCode)
	}
}

func TestEventsOfAFinishedJobBeginWithItsStatus(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.start(f.config("sample config", "run.sh"))
	long := strings.Repeat("ä", 50_000)
	f.Logs.Append(id, "first\r\n"+long+"\n\n\xff\n")
	f.play(id, 3)
	r := f.do("GET", "/api/jobs/"+string(id)+"/events", nil, header("Last-Event-ID", "nonsense_"))
	got := shorten(readEvents(t, strings.NewReader(r.text), nil))
	want := []string{
		`status {"id":"` + string(id) + `","status":"ERROR","reason":"error"}`, `progress {"step":"main","done":1,"total":1}`, `log {"line":"first"}`,
		`log {"line":"` + long[:64<<10] + `"}`, `log {"line":"` + long[64<<10:] + `"}`, `log {"line":""}`, "log {\"line\":\"\uFFFD\"}",
	}
	if !slices.Equal(got, want) {
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i] {
				t.Fatalf("event %d differs; %d events, want %d", i, len(got), len(want))
			}
		}
	}
}

func TestHeldCallsAndStreamsEndWhenTheServerCloses(t *testing.T) {
	t.Parallel()
	closing, stop := context.WithCancel(t.Context())
	f := newFixture(t, func(c *api.Config) { c.Closing = closing })
	server := httptest.NewServer(f.server)
	t.Cleanup(server.Close)
	id := f.start(f.config("sample config", "run.sh"))
	events := f.open(t, server, "/api/jobs/"+string(id)+"/events")
	first := readEvents(t, events.Body, func(e []event) bool { return true })
	log := f.open(t, server, "/api/jobs/"+string(id)+"/log?follow=true")
	held := make(chan *http.Response)
	go func() { held <- f.open(t, server, "/api/jobs/"+string(id)+"?wait=5m") }()
	stop()
	if answer := <-held; answer.StatusCode != 200 {
		t.Errorf("the held call: %d", answer.StatusCode)
	}
	if rest := readEvents(t, events.Body, nil); len(first) != 1 || len(rest) != 0 {
		t.Errorf("events %v, then %v", first, rest)
	}
	// A log that breaks off must be seen to.
	if _, err := io.ReadAll(log.Body); err == nil {
		t.Error("the followed log ended as if it were whole")
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.start(f.config("sample config", "run.sh"))
	log := "/api/jobs/" + string(id) + "/log"
	if r := f.do("GET", log, nil); r.Code != 200 || r.text != "" {
		t.Errorf("a queued job's log: %d %q", r.Code, r.text)
	}
	const text = "2026-03-17T23:30:00.123Z one\nshort\n\n2026-03-17T23:30:01.000Z \n2026-03-17T23:30:02.000Z end"
	f.Logs.Append(id, text)
	f.play(id, 0)
	r := f.do("GET", log, nil)
	if r.Code != 200 || r.text != text || r.Header().Get("Content-Type") != "application/octet-stream" {
		t.Errorf("log: %d %q %v", r.Code, r.text, r.Header())
	}
	if r := f.do("GET", log, nil, header("Range", "bytes=-3")); r.Code != 206 || r.text != "end" {
		t.Errorf("range: %d %q", r.Code, r.text)
	}
	f.do("GET", log, nil, header("Range", "bytes=1000-")).fault(t, 416, "invalid_range", "")
	want := "2026-03-18T00:30:00.123+01:00 one\nshort\n\n2026-03-18T00:30:01.000+01:00 \n2026-03-18T00:30:02.000+01:00 end"
	for _, query := range []string{"?zoneid=Europe/Paris", "?zoneid=Europe/Paris&follow=true"} {
		if r := f.do("GET", log+query, nil); r.Code != 200 || r.text != want {
			t.Errorf("%s: %d %q", query, r.Code, r.text)
		}
	}
	if r := f.do("GET", log+"?zoneid=UTC&follow=true", nil); r.text != text {
		t.Errorf("followed: %q", r.text)
	}
	for _, zone := range []string{"Mars/Olympus", "../../etc/passwd", "Local"} {
		f.do("GET", log+"?zoneid="+zone, nil).fault(t, 400, "invalid_time_zone", "")
	}
	f.do("GET", log+"?follow=maybe", nil).fault(t, 400, "invalid_field", "")
}

// The log grows byte by byte, so that stamps are cut anywhere.
func TestStampsAreFoundHoweverTheLogIsCut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	server := httptest.NewServer(f.server)
	t.Cleanup(server.Close)
	id := f.start(f.config("sample config", "run.sh"))
	fence := f.Take(t, 1, id)
	answer := f.open(t, server, "/api/jobs/"+string(id)+"/log?follow=true&zoneid=Asia/Kolkata")
	const text = "2026-03-17T23:30:00.123Z one\n2026-03-17T23:30:01.000Z two\nx\n"
	go func() {
		for _, c := range text {
			f.Logs.Append(id, string(c))
			f.Jobs.Bell.Ring(id)
		}
		f.Finish(t, 1, id, fence, controltest.Exit(0))
	}()
	got, err := io.ReadAll(answer.Body)
	if want := "2026-03-18T05:00:00.123+05:30 one\n2026-03-18T05:00:01.000+05:30 two\nx\n"; err != nil || string(got) != want {
		t.Errorf("got %q %v", got, err)
	}
}

func TestWaiting(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("sample config", "run.sh")
	id := f.start(config)
	for _, wait := range []string{"0", "1ms", "PT0.001S", "0.001", "1s"} {
		if wait == "1s" { // the job ends while the call is held
			fence := f.Take(t, 1, id)
			go f.Finish(t, 1, id, fence, controltest.Exit(0))
			wait = "5m"
		}
		r := f.do("GET", "/api/jobs/"+string(id)+"?wait="+wait, nil).want(t, 200, "")
		if status := r.json["status"]; (status == "FINISHED") != (wait == "5m") {
			t.Errorf("wait=%s: %v", wait, status)
		}
	}
	f.do("GET", "/api/jobs/"+string(id)+"?wait=x", nil).fault(t, 400, "invalid_field", "")
	f.do("GET", "/api/jobs/"+strings.Repeat("0", 24)+"?wait=30s", nil).fault(t, 404, "not_found", "")

	f.do("POST", "/api/jobconfigs/"+config+"/jobs?wait=1ms", nil).want(t, 202, `{"status":"QUEUED"}`)
	done := make(chan reply)
	go func() {
		done <- f.do("POST", "/api/jobconfigs/"+config+"/jobs?wait=30s", nil, header("Idempotency-Key", "k"))
	}()
	var second job.ID
	for deadline := time.Now().Add(time.Minute); second == "" && time.Now().Before(deadline); {
		if started := f.Engine.Started(); len(started) == 3 {
			second = started[2]
		}
		time.Sleep(time.Millisecond)
	}
	f.play(second, 5)
	r := <-done
	r.want(t, 200, `{"status":"ERROR","returnCode":"5"}`)
	if r.Header().Get("Location") != "http://localhost:8080/api/jobs/"+string(second) {
		t.Errorf("Location %q", r.Header().Get("Location"))
	}
	r = f.do("POST", "/api/jobconfigs/"+config+"/jobs?wait=30s", nil, header("Idempotency-Key", "k"))
	r.want(t, 200, `{"id":"`+string(second)+`","status":"ERROR"}`)
}
