package e2e

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// receiver is somebody else's server: it refuses the first calls.
type receiver struct {
	url    string
	mu     sync.Mutex
	refuse int // calls to answer with 503
	calls  []hookCall
}

type hookCall struct {
	header http.Header
	body   string
}

func newReceiver(t *testing.T, refuse int) *receiver {
	t.Helper()
	r := &receiver{refuse: refuse}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.calls = append(r.calls, hookCall{req.Header, string(body)})
		if len(r.calls) <= r.refuse {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *receiver) seen() []hookCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// waits until the receiver has been called n times.
func (r *receiver) waits(t *testing.T, n int) []hookCall {
	t.Helper()
	eventually(t, 2*time.Minute, func() error {
		if got := len(r.seen()); got < n {
			return fmt.Errorf("%d calls, want %d", got, n)
		}
		return nil
	})
	return r.seen()
}

// streamed reads events behind an id until enough says so, and gives "name status" of each with the last id.
func streamed(t *testing.T, c *client, after string, enough func([]string) bool) (events []string, last string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	resp, err := c.open(ctx, http.MethodGet, "/api/events", nil, "Last-Event-ID", after)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("GET /api/events answers %d", resp.StatusCode)
	}
	name := ""
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ": ")
		switch key {
		case "id":
			last = value
		case "event":
			name = value
		case "data":
			var data object
			if err := json.Unmarshal([]byte(value), &data); err != nil {
				t.Fatal(err)
			}
			if events = append(events, name+" "+data.text("status")); enough(events) {
				return events, last
			}
		}
	}
	t.Fatalf("the stream ended after %q", events)
	return nil, ""
}

// A receiver is down for two calls, and Waybill is killed between them: the call is made all the same, signed, and the
// same every time. Then it is asked for once more. The account's events go on after the kill where they were left.
func TestACallbackSurvivesItsReceiverAndItsSender(t *testing.T) {
	t.Parallel()
	const secret = "e2e secret of a callback"
	data := folder(t)
	o := options{data: data, args: []string{"--callbacks-allow-private"}}
	p := start(t, o)
	c := p.admin(t)
	hook := newReceiver(t, 2)
	s := script("echo done")
	s.config = object{"callbacks": []object{{"url": hook.url + "/x", "secret": secret, "events": []string{"job.completed"}}}}
	config := c.configure(t, "told", s)
	id := c.submit(t, config).text("id")
	c.finish(t, id, time.Minute)
	events, last := streamed(t, c, fmt.Sprintf("0-0-%d", time.Now().Unix()), func(e []string) bool { return len(e) == 2 })
	if want := []string{"status QUEUED", "status INITIALIZING"}; !slices.Equal(events, want) {
		t.Errorf("events %q, want %q", events, want)
	}
	hook.waits(t, 1)
	p.kill(t)

	p = start(t, o)
	c = p.admin(t)
	events, _ = streamed(t, c, last, func(e []string) bool { return strings.HasSuffix(e[len(e)-1], "FINISHED") })
	if want := []string{"status RUNNING", "status FINISHED"}; !slices.Equal(events, want) {
		t.Errorf("events after the kill %q, want %q", events, want)
	}
	hook.waits(t, 3)
	var delivery object
	eventually(t, time.Minute, func() error {
		delivery = c.get(t, "/api/jobs/"+id+"/deliveries").items()[0]
		if delivery.text("status") != "delivered" {
			return fmt.Errorf("the delivery is %v", delivery)
		}
		return nil
	})
	path := "/api/jobs/" + id + "/deliveries/" + delivery.text("id")
	before := len(hook.seen())
	c.do(t, http.StatusAccepted, http.MethodPost, path+"/redeliver", nil)
	for i, call := range hook.waits(t, before+1) {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(call.body))
		if got := call.header.Get("X-Waybill-Signature"); got != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
			t.Errorf("call %d: signature %q", i, got)
		}
		if call.body != hook.seen()[0].body || call.header.Get("X-Waybill-Delivery") != delivery.text("id") {
			t.Errorf("call %d is another one: %s", i, call.body)
		}
	}
	var body object
	if err := json.Unmarshal([]byte(hook.seen()[0].body), &body); err != nil {
		t.Fatal(err)
	}
	if body.text("event") != "job.completed" || body.text("job.id") != id || body.text("job.status") != "FINISHED" {
		t.Errorf("body %v", body)
	}
	eventually(t, time.Minute, func() error {
		if d := c.get(t, path); d.text("status") != "delivered" || d.text("round") != "2" {
			return fmt.Errorf("the redelivery is %v", d)
		}
		return nil
	})
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if log := p.stderr.String(); strings.Contains(log, secret) {
		t.Error("the secret is in the log")
	}
}

// Without the setting a receiver on this machine is refused when it is stored.
func TestACallbackToThisMachineIsRefused(t *testing.T) {
	t.Parallel()
	c := sharedProgram(t).tenant(t, "refused")
	hook := newReceiver(t, 0)
	r := c.do(t, http.StatusBadRequest, http.MethodPost, "/api/jobconfigs", object{"name": "x", "callbacks": []object{{"url": hook.url}}})
	if code := r.object(t).text("code"); code != "invalid_field" {
		t.Errorf("code %s", code)
	}
}
