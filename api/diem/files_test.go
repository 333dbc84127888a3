package diem_test

import (
	"bytes"
	"mime/multipart"
	"os"
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

// form is a body with files, by name and text, and its label.
func form(t testing.TB, files ...[2]string) (*bytes.Buffer, with) {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	if err := m.WriteField("note", "no file"); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		w, err := m.CreateFormFile("files", file[0])
		if err == nil {
			_, err = w.Write([]byte(file[1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	return &b, header("Content-Type", m.FormDataContentType())
}

// An upload is as large as one file may be, and all of it is good or none is stored.
func TestAnUploadIsBoundedAndWhole(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Files.MaxSize = 1000
	big := strings.Repeat("x", 400)
	for name, c := range map[string]struct {
		files  [][2]string
		status int
	}{
		"more than one file may have": {[][2]string{{"a.csv", big}, {"b.csv", big}, {"c.csv", big}}, 413},
		"a bad archive behind":        {[][2]string{{"a.csv", "a"}, {"bad.zip", "no archive"}}, 400},
	} {
		body, label := form(t, c.files...)
		if r := f.do("POST", "/etl-mgr/api/fileupload", body, label); r.Code != c.status {
			t.Errorf("%s: %d %s", name, r.Code, r.text)
		}
		f.call("getfiles", `{}`).want(t, 200, `[]`)
		if left, err := os.ReadDir(f.Files.Spool); err != nil || len(left) > 0 {
			t.Errorf("%s: %d files stay in the spool, %v", name, len(left), err)
		}
	}
	body, label := form(t, [2]string{"b.csv", big}, [2]string{"a.csv", big})
	f.do("POST", "/etl-mgr/api/fileupload", body, label, header("X-Request-Id", "both")).want(t, 200, `{"message":"files Upload Started","success":true}`)
	entries, err := f.Store.Audit(t.Context(), job.Query{Where: job.Compare{Property: "requestId", Op: job.Eq, Values: []any{"both"}}}, true)
	if err != nil || len(entries.Items) != 2 {
		t.Fatalf("%d entries in the audit log, %v; want one for each file", len(entries.Items), err)
	}
	for i, key := range []string{"a.csv", "b.csv"} { // the newest first
		if e := entries.Items[i]; !strings.HasSuffix(e.ResourceID, key) || e.Result != job.AuditOK || len(e.Changes) != 2 {
			t.Errorf("the entry of %s: %+v", key, e)
		}
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
