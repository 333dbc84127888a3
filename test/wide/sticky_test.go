package wide

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"
)

// TestNoCallNeedsTheProcessOfTheOneBefore gives every call to another API process than the one before.
func TestNoCallNeedsTheProcessOfTheOneBefore(t *testing.T) {
	t.Parallel()
	in := install(t, shape{apis: 2, workers: 1})
	var calls atomic.Int64
	c := &rest{base: func() string { return in.apis[int(calls.Add(1))%2].url }}

	// Tokens: made here, good there, refreshed there, and the old one is good nowhere.
	login := c.must(t, http.StatusOK, http.MethodPost, "/api/login", object{"username": "admin", "password": password})
	c.token = login.text("access_token")
	for range 2 {
		c.must(t, http.StatusOK, http.MethodGet, "/api/jobconfigs", nil)
	}
	old := object{"refresh_token": login.text("refresh_token")}
	fresh := c.must(t, http.StatusOK, http.MethodPost, "/api/login/refresh", old)
	c.token = fresh.text("access_token")
	for range 2 {
		c.must(t, http.StatusOK, http.MethodGet, "/api/jobconfigs", nil)
	}

	// Idempotency keys, also at the same time.
	config := c.configure(t, "plain", program, nil)
	started := make(chan answer, 6)
	for range 6 {
		go func() {
			started <- c.call(t.Context(), http.MethodPost, "/api/jobconfigs/"+config+"/jobs", macros("WIDE_SECONDS", "1"), "Idempotency-Key", "once")
		}()
	}
	job := ""
	for range 6 {
		a := <-started
		if a.status != http.StatusAccepted || job != "" && a.text("id") != job {
			t.Errorf("job %s again: %s", job, a)
		}
		job = a.text("id")
	}

	// A wait at one process ends with what a worker does and another process is told of.
	for range 2 {
		if a := c.must(t, http.StatusOK, http.MethodGet, "/api/jobs/"+job+"?wait=60s", nil); a.text("status") != "FINISHED" {
			t.Errorf("the wait ends with %s", a)
		}
	}

	// Cursors.
	ids := []string{job}
	for range 6 {
		ids = append(ids, c.must(t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+config+"/jobs", macros("WIDE_SECONDS", "0.1")).text("id"))
	}
	var walked []string
	for next := "/api/jobs?cursor=&size=2"; next != ""; {
		page := c.must(t, http.StatusOK, http.MethodGet, next, nil).object()
		list, _ := page["items"].([]any)
		for _, i := range list {
			walked = append(walked, fmt.Sprint(i.(map[string]any)["id"]))
		}
		next = ""
		if links, ok := page["links"].(map[string]any); ok {
			if u, err := url.Parse(fmt.Sprint(links["next"])); err == nil && links["next"] != nil { // it names the process that made it
				next = u.RequestURI()
			}
		}
	}
	slices.Reverse(walked)
	if !slices.Equal(walked, ids) {
		t.Errorf("a cursor walked %v, want %v", walked, ids)
	}

	// Events: each stream is taken up at another process after every event.
	c.streams(t, config)

	// Wrong passwords are counted for all processes together.
	var last answer
	for range 10 {
		last = c.call(t.Context(), http.MethodPost, "/api/login", object{"username": "admin", "password": "wrong"})
	}
	for range 2 {
		last = c.call(t.Context(), http.MethodPost, "/api/login", object{"username": "admin", "password": password})
		if last.status != http.StatusUnauthorized || last.text("code") != "locked_out" {
			t.Errorf("after ten wrong passwords: %s", last)
		}
	}

	// A refresh token that is used twice ends its login everywhere.
	if a := c.call(t.Context(), http.MethodPost, "/api/login/refresh", old); a.status != http.StatusUnauthorized {
		t.Errorf("an old refresh token: %s", a)
	}
	if a := c.call(t.Context(), http.MethodPost, "/api/login/refresh", object{"refresh_token": fresh.text("refresh_token")}); a.status != http.StatusUnauthorized {
		t.Errorf("the new one after that: %s", a)
	}
	in.stop(t)
}

// streams hears what happens to a job, an event from each process.
func (c *rest) streams(t *testing.T, config string) {
	t.Helper()
	id := c.must(t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+config+"/jobs", macros("WIDE_SECONDS", "3")).text("id")
	heard := &listener{ends: map[string]int{}, name: "id"}
	last, seen := "", map[string]bool{}
	for streams := 1; ; streams++ {
		resp := c.open(t, "/api/jobs/"+id+"/events", last)
		if resp.StatusCode == http.StatusNoContent { // all has been told
			resp.Body.Close()
			if streams < 4 {
				t.Errorf("only %d streams", streams)
			}
			break
		}
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("stream %d answers %d", streams, resp.StatusCode)
		}
		next, err := heard.read(resp.Body, last, 1)
		resp.Body.Close()
		if err != nil || seen[next] {
			t.Fatalf("stream %d after %q: event %q, %v", streams, last, next, err)
		}
		last, seen[next] = next, true
	}
	if heard.ends[id] != 1 {
		t.Errorf("the end of %s was told %d times in %d events", id, heard.ends[id], len(seen))
	}
}

// open opens a stream of events behind one of them.
func (c *rest) open(t *testing.T, path, last string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.base()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := plain.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}
