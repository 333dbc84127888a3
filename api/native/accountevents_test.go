package native_test

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"waybill/internal/job"
)

// commentEvery is the door's: how often a stream looks whether its caller is still signed in.
const commentEvery = 15 * time.Second

// tail runs the feed of the process, without which streams look about once a second.
func (f *fixture) tail(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Feed.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
}

// statuses shortens status events to the job's place in ids and its status; other events to their name.
func statuses(events []event, ids ...job.ID) (out []string) {
	for _, e := range events {
		at := slices.IndexFunc(ids, func(id job.ID) bool { return strings.Contains(e.data, `"id":"`+string(id)+`"`) })
		_, status, _ := strings.Cut(e.data, `"status":"`)
		status, _, _ = strings.Cut(status, `"`)
		if e.name != "status" {
			status = e.name
		}
		out = append(out, fmt.Sprintf("%d %s", at, status))
	}
	return out
}

func TestEventsOfAnAccount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.tail(t)
	server := httptest.NewServer(f.server)
	t.Cleanup(server.Close)
	config, other := f.config("one", "run.sh"), f.config("two", "run.sh")
	f.start(config) // before anybody listens: not told
	all := f.open(t, server, "/api/events")
	if all.StatusCode != 200 || all.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(all.StatusCode, all.Header)
	}
	one := f.open(t, server, "/api/events?jobconfigid="+other)
	first, second := f.start(config), f.start(other)
	only := f.open(t, server, "/api/events?jobid="+string(first))
	f.play(first, 0)
	f.play(second, 3)
	retry := job.ID(f.do("POST", "/api/jobs/"+string(second)+"/retry", nil).want(t, 202, "").json["id"].(string))
	f.play(retry, 0)
	if err := f.Store.RollUp(t.Context(), 1, retry, f.Now()); err != nil {
		t.Fatal(err)
	}
	ids := []job.ID{first, second, retry}
	want := []string{
		"0 QUEUED", "1 QUEUED", "0 INITIALIZING", "0 RUNNING", "0 FINISHED", "1 INITIALIZING", "1 RUNNING", "1 ERROR",
		"2 QUEUED", "2 INITIALIZING", "2 RUNNING", "2 FINISHED", "1 resolved",
	}
	events := readEvents(t, all.Body, func(e []event) bool { return len(e) == len(want) })
	if got := statuses(events, ids...); !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	if e := events[7].data; !strings.Contains(e, `"reason":"error","attempt":1,"returnCode":"3","serverId":"worker-1"`) ||
		!strings.Contains(e, `"jobConfigId":"`+other+`"`) || !strings.Contains(e, `"time":"2026-03-17T09:40:58.000000Z"`) {
		t.Errorf("an error says %s", e)
	}
	if e := events[12].data; !strings.Contains(e, `"resolvedByJob":"`+string(retry)+`"`) {
		t.Errorf("a resolution says %s", e)
	}
	ofOther := []string{"1 QUEUED", "1 INITIALIZING", "1 RUNNING", "1 ERROR", "2 QUEUED", "2 INITIALIZING", "2 RUNNING", "2 FINISHED", "1 resolved"}
	if got := statuses(readEvents(t, one.Body, func(e []event) bool { return len(e) == len(ofOther) }), ids...); !slices.Equal(got, ofOther) {
		t.Errorf("of one config: %q", got)
	}
	ofFirst := []string{"0 INITIALIZING", "0 RUNNING", "0 FINISHED"}
	if got := statuses(readEvents(t, only.Body, func(e []event) bool { return len(e) == len(ofFirst) }), ids...); !slices.Equal(got, ofFirst) {
		t.Errorf("of one job: %q", got)
	}
	for i, e := range events[:len(events)-1] { // from every event on, the rest comes, once
		rest := readEvents(t, f.open(t, server, "/api/events", header("Last-Event-ID", e.id)).Body,
			func(seen []event) bool { return len(seen) == len(events)-1-i })
		if !slices.Equal(rest, events[i+1:]) {
			t.Errorf("behind event %d: %v", i, rest)
		}
	}
}

func TestEventsAreOnlyThoseACallerMaySee(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.tail(t)
	server := httptest.NewServer(f.server)
	t.Cleanup(server.Close)
	beginning := header("Last-Event-ID", fmt.Sprintf("0-0-%d", f.Now().Unix()))
	config := f.config("sample config", "run.sh")
	f.start(config)
	foreign := f.Account(t, "other", "olga", "example-password")
	admin := f.token
	f.token = f.login("olga", "example-password")
	own := f.start(f.config("her own", "run.sh"))
	got := readEvents(t, f.open(t, server, "/api/events", beginning).Body, func(e []event) bool { return true })
	if s := statuses(got, own); !slices.Equal(s, []string{"0 QUEUED"}) {
		t.Errorf("account %d sees %v", foreign.AccountID, got)
	}
	f.do("GET", "/api/events?jobconfigid="+config, nil).fault(t, 404, "not_found", "")
	f.token = admin
	f.do("GET", "/api/events?jobid="+string(own), nil).fault(t, 404, "not_found", "")
	f.do("GET", "/api/events", nil, noToken).fault(t, 401, "token_missing", "")
	for _, bad := range []string{"x", "1-2", "1-2-x", "1--3"} {
		f.do("GET", "/api/events", nil, header("Last-Event-ID", bad)).fault(t, 400, "invalid_field", "")
	}
}

func TestAListenerWhoWasAwayForTooLongIsTold(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.tail(t)
	server := httptest.NewServer(f.server)
	t.Cleanup(server.Close)
	old := header("Last-Event-ID", fmt.Sprintf("0-0-%d", f.Now().Add(-8*24*time.Hour).Unix()))
	id := f.start(f.config("sample config", "run.sh"))
	got := readEvents(t, f.open(t, server, "/api/events", old).Body, func(e []event) bool { return len(e) == 2 })
	if s := statuses(got, id); !slices.Equal(s, []string{"-1 gap", "0 QUEUED"}) || !strings.Contains(got[0].data, "168h are not kept") {
		t.Errorf("got %v", got)
	}
}

// A mark that is ahead of the stream is of a database that was put back since, or made up. No event would come behind it.
func TestAMarkAheadOfTheStreamIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.tail(t)
	server := httptest.NewServer(f.server)
	t.Cleanup(server.Close)
	config := f.config("sample config", "run.sh")
	f.start(config) // before the listener came, so it is not told
	ahead := header("Last-Event-ID", fmt.Sprintf("0-900-%d", f.Now().Unix()))
	stream := f.open(t, server, "/api/events", ahead)
	id := f.start(config)
	got := readEvents(t, stream.Body, func(e []event) bool { return len(e) == 2 })
	if s := statuses(got, id); !slices.Equal(s, []string{"-1 gap", "0 QUEUED"}) || strings.HasPrefix(got[0].id, "0-900-") {
		t.Fatalf("got %v", got)
	}
	rest := readEvents(t, f.open(t, server, "/api/events", header("Last-Event-ID", got[0].id)).Body, func(e []event) bool { return true })
	if s := statuses(rest, id); !slices.Equal(s, []string{"0 QUEUED"}) {
		t.Errorf("behind the gap: %v", rest)
	}

	one := f.open(t, server, "/api/jobs/"+string(id)+"/events", header("Last-Event-ID", "0_QUEUED__0_0_0_900"))
	told := readEvents(t, one.Body, func(e []event) bool { return len(e) == 1 })
	if s := statuses(told, id); !slices.Equal(s, []string{"0 QUEUED"}) || strings.HasSuffix(told[0].id, "_900") {
		t.Errorf("of one job: %v", told)
	}
}

func TestStreamsEndWithTheLogin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.tail(t)
	server := httptest.NewServer(f.server)
	t.Cleanup(server.Close)
	config := f.config("sample config", "run.sh")
	first := f.start(config)
	staying := f.open(t, server, "/api/events")
	stays := f.token
	f.token = f.login("admin", "example-password")
	all, one := f.open(t, server, "/api/events"), f.open(t, server, "/api/jobs/"+string(first)+"/events")
	log := f.open(t, server, "/api/jobs/"+string(first)+"/log?follow=true")
	f.do("POST", "/api/logout", nil).want(t, 204, "")
	f.token = stays
	f.Pass(commentEvery)
	second := f.start(config)
	f.play(first, 0)
	if got := statuses(readEvents(t, all.Body, nil), second); len(got) > 0 {
		t.Errorf("after the logout the account's stream tells %q", got)
	}
	if got := statuses(readEvents(t, one.Body, nil), first); slices.Contains(got, "0 FINISHED") {
		t.Errorf("after the logout the job's stream tells %q", got)
	}
	if text, err := io.ReadAll(log.Body); err == nil {
		t.Errorf("after the logout the log is followed to its end: %q", text)
	}
	got := readEvents(t, staying.Body, func(e []event) bool { return len(e) == 1 })
	if s := statuses(got, second); !slices.Equal(s, []string{"0 QUEUED"}) {
		t.Errorf("the other login's stream tells %q", s)
	}
	if strings.Contains(f.faults.String(), "token") {
		t.Errorf("logged as a fault: %s", f.faults)
	}
}

// An id without data is how a listener for whom nothing comes learns how far the stream went.
func TestAStreamBeginsWithItsPlace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	server := httptest.NewServer(f.server)
	t.Cleanup(server.Close)
	body := f.open(t, server, "/api/events").Body
	first := make([]byte, len(": alive\nid: "))
	if _, err := io.ReadFull(body, first); err != nil || string(first) != ": alive\nid: " {
		t.Errorf("%q %v", first, err)
	}
}
