package diem_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
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

// TestABodyHeldBackKeepsNoRights: a key that is revoked while its call's body comes opens nothing.
func TestABodyHeldBackKeepsNoRights(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	notFound := `{"message":"Api could not be found"}`
	for function, prepare := range map[string]func() (io.Reader, with){
		"apijob": func() (io.Reader, with) {
			return strings.NewReader(`{"id":"` + orders + `","action":"start"}`), func(*http.Request) {}
		},
		"fileupload": func() (io.Reader, with) { return form(t, [2]string{"late.csv", "a,b\n"}) },
	} {
		key, text, err := f.Keys.Create(t.Context(), f.dan, control.APIKeyInput{Name: "held"})
		if err != nil {
			t.Fatal(err)
		}
		body, label := prepare()
		held := &heldBack{f, func() {
			if err := f.Keys.Revoke(t.Context(), f.dan, key.ID); err != nil {
				t.Error(err)
			}
		}, body}
		f.do("POST", "/etl-mgr/api/"+function, held, label, header("x-api-key", text)).want(t, 401, notFound)
	}
	f.call("getfiles", `{}`).want(t, 200, `[]`)
	q := job.Query{Scope: job.Scope{AccountID: f.account}, Size: 1}
	if jobs, _, err := f.Store.Jobs(t.Context(), q); err != nil || len(jobs.Items) != 0 {
		t.Errorf("%v %v", jobs.Items, err)
	}
	body, label := form(t, [2]string{"slow.csv", "a,b\n"})
	f.do("POST", "/etl-mgr/api/fileupload", &heldBack{f, func() {}, body}, label).want(t, 200, `{"message":"files Upload Started","success":true}`)
}
