package diem_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"waybill/internal/control"
	"waybill/internal/job"
)

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
		held := f.HeldBack(body, func() {
			if err := f.Keys.Revoke(t.Context(), f.dan, key.ID); err != nil {
				t.Error(err)
			}
		})
		f.do("POST", "/etl-mgr/api/"+function, held, label, header("x-api-key", text)).want(t, 401, notFound)
	}
	f.call("getfiles", `{}`).want(t, 200, `[]`)
	q := job.Query{Scope: job.Scope{AccountID: f.account}, Size: 1}
	if jobs, _, err := f.Store.Jobs(t.Context(), q); err != nil || len(jobs.Items) != 0 {
		t.Errorf("%v %v", jobs.Items, err)
	}
	body, label := form(t, [2]string{"slow.csv", "a,b\n"})
	f.do("POST", "/etl-mgr/api/fileupload", f.HeldBack(body, func() {}), label).want(t, 200, `{"message":"files Upload Started","success":true}`)
}
