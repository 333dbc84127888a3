package diem_test

import (
	"strconv"
	"strings"
	"testing"

	"waybill/internal/control"
	"waybill/internal/job"
)

func (f *fixture) file(key, text string) {
	f.t.Helper()
	if _, err := f.Files.Add(f.t.Context(), f.dan, control.FileOwner{Type: job.EntityAccount, Ref: strconv.FormatInt(f.account, 10)}, control.Upload{Key: key, Body: strings.NewReader(text)}); err != nil {
		f.t.Fatal(err)
	}
}

// A call that names no file must not act on one that happens to be called as JavaScript calls what is not there.
func TestFileFunctionsWithoutAnIDActOnNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, key := range []string{"undefined", "null"} {
		f.file(key, "kept")
	}
	for _, body := range []string{`{}`, `{"id":null}`, `{"id":""}`} {
		f.call("filedelete", body).want(t, 200, `{"success":true}`)
		f.call("filedownload", body).want(t, 404, `{"message":"document undefined not found"}`)
	}
	for _, key := range []string{"undefined", "null"} {
		if r := f.call("filedownload", `{"id":"`+key+`"}`); r.Code != 200 || !strings.Contains(r.text, "kept") {
			t.Errorf("%s: %d %s", key, r.Code, r.text)
		}
	}
}
