package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"waybill/internal/app"
	"waybill/internal/control"
	"waybill/storage/storagetest"
)

// shell runs commands on a data folder.
type shell struct {
	t    *testing.T
	data string
}

// call runs a command with standard input, wants its exit code, and gives what it printed.
func (s shell) call(code int, input string, args ...string) (out, faults string) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "input")
	if err := os.WriteFile(file, []byte(input), 0o600); err != nil {
		s.t.Fatal(err)
	}
	in, err := os.Open(file)
	if err != nil {
		s.t.Fatal(err)
	}
	defer in.Close()
	was := os.Stdin
	os.Stdin = in
	defer func() { os.Stdin = was }()
	var stdout, stderr bytes.Buffer
	if got := run(s.t.Context(), func() {}, append(args, "--data", s.data), &stdout, &stderr); got != code {
		s.t.Fatalf("%v: exit code %d, want %d\n%s%s", args, got, code, stdout.String(), stderr.String())
	}
	return stdout.String(), stderr.String()
}

func (s shell) wants(text string, parts ...string) {
	s.t.Helper()
	for _, part := range parts {
		if !regexp.MustCompile(part).MatchString(text) {
			s.t.Errorf("no %q in:\n%s", part, text)
		}
	}
}

// exported reads the audit log.
func (s shell) exported(args ...string) (list []control.AuditLine) {
	s.t.Helper()
	out, _ := s.call(exitOK, "", append([]string{"admin", "audit", "export"}, args...)...)
	for line := range strings.Lines(out) {
		var l control.AuditLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			s.t.Fatalf("%v: %s", err, line)
		}
		list = append(list, l)
	}
	return list
}

// What an operator does is done, refused with the right exit code where it can not be, and in the audit log, on both databases.
func TestAdminCommands(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { administer(t, filepath.Join(t.TempDir(), "data")) })
	t.Run("postgres", func(t *testing.T) {
		t.Setenv("WAYBILL_DATABASE", storagetest.PostgresURL(t))
		administer(t, t.TempDir())
	})
}

func administer(t *testing.T, data string) {
	s := shell{t, data}
	s.call(exitOK, "", "migrate", "up")
	out, faults := s.call(exitFailed, "", "admin", "setup")
	s.wants(out+faults, "WAYBILL_ADMIN_PASSWORD")
	out, _ = s.call(exitOK, "", "admin", "setup", "--print-password")
	s.wants(out, `password of admin\s+\S{8,}`, "account default and user admin are made")
	s.call(exitOK, "tulips-of-boss\n", "account", "create", "other", "--admin", "boss")
	s.call(exitFailed, "tulips-of-boss\n", "account", "create", "other", "--admin", "second")

	out, _ = s.call(exitOK, "tulips-of-eve\n", "admin", "user", "create", "eve")
	s.wants(out, `user eve \(id \d+\) in account default`)
	if strings.Contains(out, "tulips-of-eve") {
		t.Errorf("a given password is shown: %s", out)
	}
	out, _ = s.call(exitOK, "", "admin", "user", "create", "adam", "--account", "other", "--admin", "--generate")
	s.wants(out, `password: \S{8,}`)
	s.call(exitFailed, "tulips-of-eve\n", "admin", "user", "create", "eve")
	s.call(exitFailed, "short\n", "admin", "user", "create", "seth")
	s.call(exitFailed, "long-enough\n", "admin", "user", "create", "seth", "--account", "nobodys")
	s.call(exitUsage, "", "admin", "user", "create", "seth")
	s.call(exitUsage, "", "admin", "user", "create")
	s.call(exitUsage, "", "admin", "user", "unmake", "eve")
	out, _ = s.call(exitOK, "new-tulips-of-eve\n", "admin", "user", "reset-password", "eve")
	s.wants(out, "user eve has a new password; 0 logins ended")
	s.call(exitFailed, "new-tulips-of-eve\n", "admin", "user", "reset-password", "nobody")
	s.call(exitOK, "", "admin", "user", "deactivate", "eve")
	out, _ = s.call(exitOK, "", "admin", "user", "list")
	s.wants(out, `\d+\s+admin\s+true\s+true`, `\d+\s+eve\s+false\s+false`)
	s.call(exitOK, "", "admin", "user", "activate", "eve")
	_, faults = s.call(exitFailed, "", "admin", "user", "deactivate", "admin")
	s.wants(faults, "admin")
	out, _ = s.call(exitOK, "", "admin", "user", "list", "--account", "other")
	s.wants(out, `boss\s+true\s+true`, `adam\s+true\s+true`)
	s.audit()
}

// audit looks for all of it in the audit log.
func (s shell) audit() {
	t := s.t
	list := s.exported()
	counts := map[string]int{}
	for _, l := range list {
		if !strings.HasPrefix(l.Actor, "cli:") || len(l.Actor) == len("cli:") {
			t.Errorf("an entry of nobody's: %+v", l)
		}
		counts[l.Action+" "+l.Result]++
	}
	want := map[string]int{
		"migrate.up ok": 1, "setup ok": 1, "setup failed": 1, "account.create ok": 2, "account.create failed": 1, "user.create ok": 2, "user.create failed": 3,
		"user.password.reset ok": 1, "user.password.reset failed": 1, "user.deactivate ok": 1, "user.deactivate failed": 1, "user.activate ok": 1,
	}
	for what, n := range want {
		if counts[what] != n {
			t.Errorf("%s: %d entries, want %d", what, counts[what], n)
		}
	}
	if len(counts) != len(want) {
		t.Errorf("entries are %v", counts)
	}
	if first := list[0]; first.Action != "migrate.up" || len(first.Changes) != 1 || first.Changes[0].Before != "" || first.Changes[0].After == "" {
		t.Errorf("the first entry is %+v", first)
	}
	out, _ := s.call(exitOK, "", "admin", "audit", "export", "--format", "csv")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != len(list)+1 || rows[0][0] != "id" || strings.Contains(out, "tulips-of-eve") {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	if late := s.exported("--from", "2999-01-01"); len(late) != 0 {
		t.Errorf("of the far future: %v", late)
	}
	if early := s.exported("--to", "2020-01-01T00:00:00Z"); len(early) != 0 {
		t.Errorf("of the past: %v", early)
	}
	s.call(exitUsage, "", "admin", "audit", "export", "--from", "yesterday")
	s.call(exitUsage, "", "admin", "audit", "export", "--format", "xml")
}

// A way back that keeps the log's table leaves an entry in it; one that removes it goes all the same.
func TestWaysBackAreInTheAuditLog(t *testing.T) {
	s := shell{t, filepath.Join(t.TempDir(), "data")}
	s.call(exitOK, "", "migrate", "up")
	s.call(exitOK, "", "migrate", "down", "--to", "16", "--yes")
	s.call(exitOK, "", "migrate", "down", "--to", "0", "--yes")
	s.call(exitOK, "", "migrate", "up")
	s.call(exitOK, "", "migrate", "down", "--to", "16", "--yes")
	_, faults := s.call(exitFailed, "", "admin", "audit", "export")
	s.wants(faults, "waybill migrate up")
	s.call(exitOK, "", "migrate", "up")
	list := s.exported()
	if len(list) != 3 || list[1].Action != "migrate.down" || len(list[1].Changes) != 1 || list[1].Changes[0].After != "16" {
		t.Errorf("%+v", list)
	}
}

// A namespace that is made has its entry in the database that is there; without one none is made.
func TestMakingANamespaceIsInTheAuditLog(t *testing.T) {
	s := shell{t, filepath.Join(t.TempDir(), "data")}
	s.call(exitUsage, "", "admin", "namespace", "create")
	s.call(exitUsage, "", "admin", "namespace", "create", "--temporal", "127.0.0.1:1", "--namespace-retention", "1h")
	at := os.Getenv("WAYBILL_TEST_TEMPORAL")
	if at == "" {
		t.Skip("needs WAYBILL_TEST_TEMPORAL: run it with test/bin/with-temporal")
	}
	s.call(exitOK, "", "admin", "namespace", "create", "--temporal", at, "--temporal-namespace", "made-without-a-database")
	if left, _ := os.ReadDir(s.data); len(left) != 0 {
		t.Errorf("it made %v", left)
	}
	s.call(exitOK, "", "migrate", "up")
	s.call(exitOK, "", "admin", "namespace", "create", "--temporal", at, "--temporal-namespace", "made-by-a-test")
	list := s.exported()
	if e := list[len(list)-1]; e.Action != "namespace.create" || e.ResourceID != "made-by-a-test" || e.Result != "ok" || len(e.Changes) != 1 {
		t.Errorf("%+v", e)
	}
}

// The doctor ends with 1 for what fails, and says the same as JSON.
func TestDoctorCommand(t *testing.T) {
	s := shell{t, filepath.Join(t.TempDir(), "data")}
	t.Setenv("WAYBILL_LISTEN", "127.0.0.1:0")
	out, _ := s.call(exitFailed, "", "doctor")
	s.wants(out, `fail\s+database\.reach\s+the data folder has no database`)
	if left, _ := os.ReadDir(s.data); len(left) != 0 {
		t.Errorf("it made %v", left)
	}
	s.call(exitOK, "", "migrate", "up")
	out, _ = s.call(exitOK, "", "doctor")
	s.wants(out, `ok\s+database\.schema\s+version \d+`, `warn\s+keys\.master`)
	s.call(exitFailed, "", "doctor", "--strict")
	s.call(exitUsage, "", "doctor", "sideways")
	out, _ = s.call(exitOK, "", "doctor", "--json")
	var findings []app.Finding
	if err := json.Unmarshal([]byte(out), &findings); err != nil || len(findings) < 8 {
		t.Fatalf("%v: %s", err, out)
	}
	for _, f := range findings {
		if f.ID == "" || f.Finding == "" || f.Level == app.LevelWarn && f.Advice == "" {
			t.Errorf("%+v", f)
		}
	}
}
