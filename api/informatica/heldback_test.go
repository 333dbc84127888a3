package informatica_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// heldBack is a body that its sender keeps back until something has happened, for which the server is to ask who sends it.
type heldBack struct {
	f         *fixture
	meanwhile func()
	io.Reader
}

func (h *heldBack) Read(p []byte) (int, error) {
	if h.meanwhile != nil {
		h.meanwhile()
		h.f.Pass(5 * time.Second)
		h.meanwhile = nil
	}
	return h.Reader.Read(p)
}

func (h *heldBack) Close() error { return nil }

// held keeps the body of a call back.
func (f *fixture) held(text string, meanwhile func()) with {
	return func(r *http.Request) { r.Body, r.ContentLength = &heldBack{f, meanwhile, strings.NewReader(text)}, -1 }
}

// TestABodyHeldBackKeepsNoRights: a session that ends while its call's body comes opens nothing, in either format.
func TestABodyHeldBackKeepsNoRights(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.task("Orders", "", "MTT")
	ended := func() {
		if err := f.Doors.Logout(t.Context(), f.session); err != nil {
			t.Error(err)
		}
	}
	f.do("POST", "/saas/api/v2/job", "", f.held(`{"@type":"job","taskName":"Orders","taskType":"MTT"}`, ended)).
		fault(t, 401, "AUTH_01", "The session is missing or has expired")
	f.session = f.login(dan)
	f.do("POST", "/saas/api/v2/job", "", xmlIn, f.held(`<job><taskName>Orders</taskName><taskType>MTT</taskType></job>`, ended)).
		fault(t, 401, "AUTH_01", "The session is missing or has expired")
	f.session = f.login(dan)
	f.do("GET", "/saas/api/v2/activity/activityMonitor", "").want(t, 200, `[]`)
	f.do("POST", "/saas/api/v2/job", "", f.held(`{"@type":"job","taskName":"Orders","taskType":"MTT"}`, func() {})).want(t, 200, "")
}
