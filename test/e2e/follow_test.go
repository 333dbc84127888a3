package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// steady prints a line now and then, and ends when it has printed them all.
const steady = `i=1; while [ $i -le 8 ]; do echo "line $i"; i=$((i+1)); sleep 0.4; done`

// TestFollowLog reads a log while it is written.
func TestFollowLog(t *testing.T) {
	t.Parallel()
	c := sharedProgram(t).admin(t)
	job := c.submit(t, c.configure(t, unique("steady"), script(steady))).text("id")
	resp, err := c.open(t.Context(), http.MethodGet, "/api/jobs/"+job+"/log?follow=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	expect(t, "the status of the call", resp.StatusCode, 200)
	expect(t, "its type", resp.Header.Get("Content-Type"), "application/octet-stream")
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() || !strings.HasSuffix(lines.Text(), "line 1") {
		t.Fatalf("the first line is %q (%v)", lines.Text(), lines.Err())
	}
	if status := c.get(t, "/api/jobs/"+job).text("status"); ended(status) {
		t.Errorf("the first line came when the job was %s", status)
	}
	all := []string{lines.Text()}
	for lines.Scan() {
		all = append(all, lines.Text())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if status := c.get(t, "/api/jobs/"+job).text("status"); status != "FINISHED" {
		t.Errorf("the log ended when the job was %s", status)
	}
	expect(t, "the lines", len(all), 8)
	whole := c.log(t, job)
	expect(t, "what was followed", strings.Join(all, "\n")+"\n", whole)

	// Time stamps are in the zone that is asked for, and parts can be had.
	berlin := string(c.do(t, 200, "GET", "/api/jobs/"+job+"/log?zoneid=Asia/Tokyo", nil).body)
	if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+09:00 line 1\n`).MatchString(berlin) {
		t.Errorf("with zoneid the log begins with %.60q", berlin)
	}
	part := c.do(t, http.StatusPartialContent, "GET", "/api/jobs/"+job+"/log", nil, "Range", "bytes=5-14")
	expect(t, "a part of the log", string(part.body), whole[5:15])
	c.do(t, http.StatusBadRequest, "GET", "/api/jobs/"+job+"/log?zoneid=No/Where", nil)
}

// event is a server-sent event.
type event struct {
	id, name string
	data     object
}

// readEvents reads events until enough says so or the stream ends.
func readEvents(body io.Reader, enough func(event) bool) (all []event, err error) {
	var e event
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if e.name != "" {
				all = append(all, e)
				if enough(e) {
					return all, nil
				}
			}
			e = event{}
		case name == "id":
			e.id = value
		case name == "event":
			e.name = value
		case name == "data":
			if err := json.Unmarshal([]byte(value), &e.data); err != nil {
				return all, fmt.Errorf("data %q: %w", value, err)
			}
		}
	}
	return all, lines.Err()
}

// TestEventsResume follows a job's events, breaks the call off in the middle and goes on from the last event: no event is
// lost or told twice.
func TestEventsResume(t *testing.T) {
	t.Parallel()
	c := sharedProgram(t).admin(t)
	job := c.submit(t, c.configure(t, unique("steady"), script(steady))).text("id")

	var all []event
	listen := func(last string, enough func(event) bool) {
		t.Helper()
		ctx, hangUp := context.WithTimeout(t.Context(), time.Minute)
		defer hangUp()
		var headers []string
		if last != "" {
			headers = []string{"Last-Event-ID", last}
		}
		resp, err := c.open(ctx, http.MethodGet, "/api/jobs/"+job+"/events", nil, headers...)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		expect(t, "the status of the call", resp.StatusCode, 200)
		if kind := resp.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
			t.Errorf("the type is %s", kind)
		}
		got, err := readEvents(resp.Body, enough)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, got...)
	}
	lineAt := func(n int) func(event) bool {
		return func(e event) bool {
			return e.name == "log" && strings.HasSuffix(e.data.text("line"), "line "+strconv.Itoa(n))
		}
	}
	listen("", lineAt(2))
	expect(t, "the first event", all[0].name, "status")
	expect(t, "its job", all[0].data.text("id"), job)
	listen(all[len(all)-1].id, lineAt(5))
	listen(all[len(all)-1].id, func(event) bool { return false }) // to the end

	ids := map[string]bool{}
	var lines, states []string
	for _, e := range all {
		if e.id == "" || ids[e.id] {
			t.Errorf("event %+v has no id of its own", e)
		}
		ids[e.id] = true
		switch e.name {
		case "log":
			_, line, _ := strings.Cut(e.data.text("line"), " ")
			lines = append(lines, line)
		case "status":
			states = append(states, e.data.text("status"))
		}
	}
	expect(t, "the lines", strings.Join(lines, ","), "line 1,line 2,line 3,line 4,line 5,line 6,line 7,line 8")
	last := all[len(all)-1]
	expect(t, "the last event", last.name+" "+last.data.text("status"), "status FINISHED")
	for i := 1; i < len(states); i++ {
		if states[i] == states[i-1] {
			t.Errorf("a status is told twice: %v", states)
		}
	}
	// A listener that has heard the end is told not to come back; a new one hears all of it.
	c.do(t, http.StatusNoContent, http.MethodGet, "/api/jobs/"+job+"/events", nil, "Last-Event-ID", last.id)
	all = nil
	listen("", func(event) bool { return false })
	expect(t, "the first event of a finished job", all[0].name+" "+all[0].data.text("status"), "status FINISHED")
}
