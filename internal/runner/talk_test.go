package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"waybill/internal/job"
)

func TestAProgramPointsToFilesInItsFoldersOnly(t *testing.T) {
	r := newRunner(t, nil)
	a := mustPrepare(t, r, lease(t, r, "run.sh", []byte("true")), job.Spec{})
	outside := filepath.Join(t.TempDir(), "secret")
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(outside, "secret")
	out, tmp := filepath.Join(a.dir, "out"), filepath.Join(a.dir, "tmp")
	put(filepath.Join(out, "a.txt"), "0123456789")
	put(filepath.Join(tmp, "b.txt"), "b")
	for link, to := range map[string]string{"link": outside, "inside": "a.txt", "folder": filepath.Dir(outside)} {
		if err := os.Symlink(to, filepath.Join(out, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(out, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"a.txt": "01234567", filepath.Join(out, "a.txt"): "01234567", "../tmp/b.txt": "b", filepath.Join(tmp, "b.txt"): "b",
		outside: "", "link": "", "inside": "", "folder/secret": "", "pipe": "", "none": "", "": "", ".": "", "../../x": "", a.dir: "", "/etc/passwd": "",
		"a\x00b": "", "../../../../../../etc/passwd": "",
	} {
		text, err := a.ReadFile(name, 8)
		if string(text) != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", name, text, err)
		}
	}
}

func TestTheFilesOfARunningProgramAreListed(t *testing.T) {
	r := newRunner(t, nil)
	a := mustPrepare(t, r, lease(t, r, "run.sh", []byte("true")), job.Spec{})
	if files := a.FilesNow(); len(files) != 0 {
		t.Errorf("at first: %v", files)
	}
	out := filepath.Join(a.dir, "out")
	if err := os.MkdirAll(filepath.Join(out, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"z", "a/b/c", "a/b.txt", "bad\nname"} {
		if err := os.WriteFile(filepath.Join(out, name), []byte("xyz"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc", filepath.Join(out, "etc")); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range a.FilesNow() {
		if f.Size != 3 || f.CreatedAt.IsZero() || f.Object != "" {
			t.Errorf("%+v", f)
		}
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != "a/b.txt a/b/c z" {
		t.Errorf("files: %s", got)
	}
	for i := range 2 * job.MaxOutFilesShown {
		if err := os.WriteFile(filepath.Join(out, fmt.Sprint("f", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(a.FilesNow()); n != job.MaxOutFilesShown {
		t.Errorf("%d files, want no more than are shown", n)
	}
	if err := os.RemoveAll(out); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc", out); err != nil {
		t.Fatal(err)
	}
	if files := a.FilesNow(); len(files) != 0 {
		t.Errorf("of another folder: %v", files)
	}
}

func TestInMessagesAreLaid(t *testing.T) {
	r := newRunner(t, nil)
	l := lease(t, r, "run.sh", []byte(`cat "$WAYBILL_IN_DIR/ö der?" "$WAYBILL_IN_DIR/empty" | od -c | head -n 1; cat "$WAYBILL_IN_FILE"; echo "$WAYBILL_OUT_MESSAGES"`))
	a := mustPrepare(t, r, l, job.Spec{
		InMessages: []job.Message{
			{Name: "ö der?", Body: "a\x01b\n", Properties: []job.MessageProperty{{Key: "k", Value: "v"}}}, {Name: "empty"},
		},
		OutMessageNames: []string{"re ply"},
	})
	if _, err := a.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	in := filepath.Join(a.dir, "messages")
	want := "0000000   a 001   b  \\n\n" + `[{"name":"ö der?","file":"` + in + `/ö der?","properties":{"k":"v"}},{"name":"empty","file":"` + in + `/empty","properties":{}}]["re ply"]` + "\n"
	if got := a.log.text(); got != want {
		t.Errorf("log = %s\nwant %s", got, want)
	}
	for _, name := range []string{"../x", "a/b", "files", ""} {
		if _, err := prepare(t, r, l, job.Spec{InMessages: []job.Message{{Name: name}}}); job.CodeOf(err) != job.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, a := script(t, r, `echo "${WAYBILL_IN_DIR-none} ${WAYBILL_IN_FILE-none} ${WAYBILL_OUT_MESSAGES-none}"`); a.log.text() != "none none none\n" {
		t.Errorf("a job without messages: %s", a.log.text())
	}
}
