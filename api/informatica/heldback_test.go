package informatica_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// held keeps the body of a call back.
func (f *fixture) held(text string, meanwhile func()) with {
	return func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(f.HeldBack(strings.NewReader(text), meanwhile)), -1
	}
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
