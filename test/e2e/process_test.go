package e2e

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// refused runs a command line that must not start: it ends with a code that is not 0 and one line for each fault.
func refused(t *testing.T, what string, cmd *exec.Cmd, code int, faults ...string) {
	t.Helper()
	got, _, errs := execute(t, cmd)
	var lines []string
	for line := range strings.Lines(errs) {
		if strings.HasPrefix(line, "waybill: ") {
			lines = append(lines, line)
		} else if !strings.HasPrefix(line, "time=") { // a line of the program's log
			t.Errorf("%s: %q is neither an error nor of the log", what, line)
		}
	}
	if got != code {
		t.Errorf("%s: it ends with %d, want %d: %s", what, got, code, errs)
	}
	if len(lines) != len(faults) {
		t.Errorf("%s: it tells %d faults, want %d: %s", what, len(lines), len(faults), errs)
		return
	}
	for _, f := range faults {
		if !strings.Contains(errs, f) {
			t.Errorf("%s: it does not say %q: %s", what, f, errs)
		}
	}
}

func TestStartIsRefused(t *testing.T) {
	t.Parallel()
	p := sharedProgram(t)
	t.Run("on a folder in use", func(t *testing.T) {
		t.Parallel()
		refused(t, "a second start", command(options{data: p.data}), 1, p.data)
		var r runFile
		if err := readJSON(filepath.Join(p.data, "run.json"), &r); err != nil || r.PID != p.run.PID {
			t.Errorf("the first start's run.json has gone: %v", err)
		}
		ready(t, p.run.URL)
	})
	t.Run("on a taken port", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for _, flag := range []string{"--listen", "--engine-listen", "--engine-ui-listen"} {
			data := folder(t)
			refused(t, flag, command(options{data: data, args: []string{flag, l.Addr().String()}}), 1, l.Addr().String())
			if _, err := os.Stat(filepath.Join(data, "run.json")); err == nil {
				t.Errorf("%s: a refused start left a run.json", flag)
			}
		}
	})
	t.Run("on a folder that can not be", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, "a file", command(options{data: file}), 1, file)
		refused(t, "below a file", command(options{data: filepath.Join(file, "data")}), 1, file)
		refused(t, "/proc", command(options{data: "/proc/waybill-data"}), 1, "/proc/waybill-data")
	})
	t.Run("on a folder that can not be written", func(t *testing.T) {
		t.Parallel()
		if os.Geteuid() == 0 {
			t.Skip("root may write everywhere")
		}
		data := t.TempDir()
		if err := os.Chmod(data, 0o500); err != nil {
			t.Fatal(err)
		}
		refused(t, "a read-only folder", command(options{data: data}), 1, data)
	})
	t.Run("with bad settings", func(t *testing.T) {
		t.Parallel()
		data := folder(t)
		refused(t, "three faults", command(options{
			data: data, args: []string{"--engine-listen", "0.0.0.0:7233", "--workers", "many"}, env: []string{"WAYBILL_BASE_URL=nowhere"},
		}), 2, "--engine-listen", "--workers", "WAYBILL_BASE_URL")
		refused(t, "an unknown flag", command(options{data: data, args: []string{"--colour", "red"}}), 2, "--colour")
		file := filepath.Join(t.TempDir(), "waybill.yaml")
		if err := os.WriteFile(file, []byte("colour: red\nworkers: -1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, "a settings file", command(options{data: data, args: []string{"--config", file}}), 2, "colour", "--workers")
		refused(t, "a short password", command(options{data: data, random: true, env: []string{"WAYBILL_ADMIN_PASSWORD=short"}}), 2, "WAYBILL_ADMIN_PASSWORD")
		if _, err := os.Stat(data); err == nil {
			t.Error("a start with bad settings made the data folder")
		}
	})
}

// TestSettings come from flag, environment and file; links use the base URL that is set.
func TestSettings(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "waybill.yaml")
	if err := os.WriteFile(file, []byte("base-url: https://waybill.example.com/\ndates: medium\nlog-format: json\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	free := freeAddress(t)
	p := start(t, options{
		data: folder(t), args: []string{"--config", file, "--listen", free, "--max-file-size", "1000"},
		env: []string{"WAYBILL_DATES=rfc3339"},
	})
	expect(t, "the URL in run.json", p.run.URL, "https://waybill.example.com")
	c, err := login(t.Context(), "http://"+free, "admin", adminPassword)
	if err != nil {
		t.Fatal(err)
	}
	config := c.do(t, http.StatusCreated, http.MethodPost, "/api/jobconfigs", object{"name": "a"}).object(t)
	if href := config.text("href"); !strings.HasPrefix(href, "https://waybill.example.com/api/jobconfigs/") {
		t.Errorf("the link is %s", href)
	}
	if _, err := time.Parse(time.RFC3339, config.text("created")); err != nil {
		t.Errorf("the date is %s", config.text("created"))
	}
	files := "/api/jobconfigs/" + config.text("id") + "/files"
	r := c.do(t, http.StatusRequestEntityTooLarge, http.MethodPost, files+"?key=large.txt", make([]byte, 1001)).object(t)
	expect(t, "the code of a file that is too large", r.text("code"), "too_large")
	expect(t, "files kept of it", len(c.get(t, files).items()), 0)
	c.do(t, http.StatusCreated, http.MethodPost, files+"?key=fits.txt", make([]byte, 1000))
	r = c.do(t, http.StatusRequestEntityTooLarge, http.MethodPost, "/api/jobconfigs", object{"name": "b", "description": strings.Repeat("x", 1<<20)}).object(t)
	expect(t, "the code of a body that is too large", r.text("code"), "too_large")
}

// TestLockout is the answer to guessing: the tenth failure locks user and address out, and logins are limited in all.
func TestLockout(t *testing.T) {
	t.Parallel()
	p := start(t, options{data: folder(t)})
	c := p.admin(t)
	try := func(password string) *reply {
		t.Helper()
		body := []byte(fmt.Sprintf(`{"username":"admin","password":%q}`, password))
		r, err := (&client{base: p.run.URL}).send(t.Context(), http.MethodPost, "/api/login", body, "Content-Type", "application/json")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for range 9 {
		expect(t, "the code of a wrong password", try("wrong").object(t).text("code"), "bad_credentials")
	}
	try("wrong")
	r := try(adminPassword)
	expect(t, "the status of the right password after ten wrong ones", r.status, http.StatusUnauthorized)
	expect(t, "its code", r.object(t).text("code"), "locked_out")
	if r.header.Get("Retry-After") == "" {
		t.Error("it does not say when to come back")
	}
	c.get(t, "/api/jobconfigs") // who is signed in stays so
	for n := 0; r.status != http.StatusTooManyRequests; n++ {
		if n > 200 { // where each takes its time, some room comes free meanwhile
			t.Fatal("logins are not limited")
		}
		r = try("wrong")
	}
	expect(t, "the code of too many logins", r.object(t).text("code"), "rate_limited")
	if r.header.Get("Retry-After") == "" {
		t.Error("it does not say when to come back")
	}
}

// freeAddress is an address that nobody listens on now: with a base URL set, run.json does not tell the port. The port is below
// those that connections go out through and that listeners are given, so that nobody takes it before the program does.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 200 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("there is no free port")
	return ""
}

// ready waits until the program says that it is: on a busy machine one of its checks may not end in its time.
func ready(t *testing.T, base string) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		if code, _, text := plainGet(t, base+"/readyz"); code != http.StatusOK {
			return fmt.Errorf("/readyz answers %d %s", code, text)
		}
		return nil
	})
}

// TestFirstStart prints the random password once and keeps it where only its owner reads it.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	data := folder(t)
	p := start(t, options{data: data, random: true})
	file := filepath.Join(data, "admin-password")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	password := strings.TrimSpace(string(text))
	for name, mode := range map[string]fs.FileMode{"admin-password": 0o600, "engine-token": 0o600, "master.key": 0o600, "run.json": 0o600} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "the mode of "+name, info.Mode().Perm(), mode)
	}
	out := p.printed(t)
	if len(password) < 16 || strings.Count(out, password) != 1 || strings.Contains(p.stderr.String(), password) {
		t.Errorf("a password of %d bytes is printed %d times", len(password), strings.Count(out, password))
	}
	for _, address := range []string{p.run.URL, p.run.TemporalUI, p.run.TemporalAddress} {
		if address == "" || !strings.Contains(out, address) {
			t.Errorf("%q is not printed: %s", address, out)
		}
	}
	if _, err := login(t.Context(), p.run.URL, p.run.AdminUser, password); err != nil {
		t.Error(err)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	again := start(t, options{data: data, random: true})
	if out := again.printed(t); strings.Contains(out, password) || strings.Contains(strings.ToLower(out), "password") {
		t.Errorf("the second start prints the password again: %s", out)
	}
	if _, err := login(t.Context(), again.run.URL, again.run.AdminUser, password); err != nil {
		t.Error(err)
	}
}

// TestPages are what is served beside the API.
func TestPages(t *testing.T) {
	t.Parallel()
	p := sharedProgram(t)
	_, header, docs := plainGet(t, p.run.URL+"/docs")
	if !strings.Contains(docs, "swagger") || !strings.HasPrefix(header.Get("Content-Type"), "text/html") {
		t.Errorf("/docs is no docs page: %s", docs)
	}
	if outside := regexp.MustCompile(`(?i)(src|href)\s*=\s*["']?(https?:)?//`).FindString(docs); outside != "" {
		t.Errorf("/docs needs the internet: %s", outside)
	}
	local := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(docs, -1)
	if len(local) < 2 {
		t.Errorf("/docs has neither script nor style: %s", docs)
	}
	for _, l := range local {
		address := p.run.URL + "/" + strings.TrimPrefix(l[1], "/")
		if code, _, body := plainGet(t, address); code != 200 || body == "" {
			t.Errorf("%s answers %d", address, code)
		}
	}
	code, _, text := plainGet(t, p.run.URL+"/openapi.json")
	document, err := parse(text)
	if err != nil || code != 200 {
		t.Fatalf("/openapi.json answers %d: %v", code, err)
	}
	err = match("/openapi.json", map[string]any{
		"openapi": "$re:3\\.1\\..*", "paths": map[string]any{"/jobconfigs/{id}/jobs": map[string]any{"post": "$ANY"}, "/login": "$ANY"},
	}, document, vars{})
	if err != nil {
		t.Error(err)
	}
	eventually(t, time.Minute, func() error { // on a busy machine a check may not end in its time
		code, _, ready := plainGet(t, p.run.URL+"/readyz")
		for _, part := range []string{`"status":"up"`, `"database":"up"`, `"engine":"up"`, `"objects":"up"`} {
			if code != 200 || !strings.Contains(ready, part) {
				return fmt.Errorf("/readyz answers %d %s", code, ready)
			}
		}
		return nil
	})
	expect(t, "/healthz", status(t, p.run.URL+"/healthz"), 200)
	c := p.admin(t)
	c.get(t, "/api/jobconfigs")
	code, _, metrics := plainGet(t, p.run.URL+"/metrics")
	for _, name := range []string{"waybill_http_requests_total{", "waybill_job_attempts_total", "go_goroutines", "process_resident_memory_bytes"} {
		if code != 200 || !strings.Contains(metrics, "\n"+name) {
			t.Errorf("/metrics answers %d and has no %s", code, name)
		}
	}
	code, ui := p.ui(t, "/")
	if code != 200 || !strings.Contains(strings.ToLower(ui), "<html") {
		t.Errorf("the Temporal Web UI answers %d: %.200s", code, ui)
	}
	info := c.get(t, "/api/product/info")
	if info.text("name") == "" && info.text("productName") == "" {
		t.Errorf("the product has no name: %v", info)
	}
	r := c.do(t, http.StatusNotFound, http.MethodGet, "/api/no/such/route", nil).object(t)
	expect(t, "the code of an unknown route", r.text("code"), "route_not_found")
	r = c.do(t, http.StatusMethodNotAllowed, http.MethodDelete, "/api/login", nil).object(t)
	expect(t, "the code of a wrong method", r.text("code"), "method_not_allowed")
	r = c.do(t, http.StatusNotFound, http.MethodGet, "/api/jobtemplates", nil).object(t)
	expect(t, "the code of a route that is still to come", r.text("code"), "not_supported")
}

// TestQuickstart is what a newcomer sees: the tutorial, step by step, with its log and results; and again on its folder.
func TestQuickstart(t *testing.T) {
	t.Parallel()
	data := folder(t)
	for round := 1; round <= 2; round++ {
		code, out, errs := execute(t, command(options{command: "quickstart", data: data, args: []string{"--exit"}, random: true}))
		if code != 0 {
			t.Fatalf("round %d ends with %d: %s\n%s", round, code, out, errs)
		}
		for _, part := range []string{
			"1. POST /api/login", "2. POST /api/jobconfigs", "3. POST /api/jobconfigs/", "samplePackage.djar", "4. PUT /api/jobconfigs/",
			"integrateXYZ.process", "5. POST /api/jobconfigs/", "is QUEUED", "reading data/orders.csv", "is FINISHED, exit code 0", ".ndjson",
			"REST API", "/docs", "Temporal Web UI", "http://127.0.0.1:",
		} {
			if !strings.Contains(out, part) {
				t.Errorf("round %d does not print %q:\n%s", round, part, out)
			}
		}
		expect(t, fmt.Sprintf("whether round %d prints a password", round), strings.Contains(out, "with the password"), round == 1)
		if _, err := os.Stat(filepath.Join(data, "run.json")); err == nil {
			t.Errorf("round %d left its run.json", round)
		}
	}
}

// TestCommandLine is what the commands say of themselves.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"version", "--version", "--help", "up --help", "quickstart --help", "bench jobs --help"} {
		args := strings.Fields(line)
		code, out, errs := execute(t, exec.Command(binary, args...))
		if code != 0 || out == "" || errs != "" {
			t.Errorf("%v ends with %d: %q %q", args, code, out, errs)
		}
	}
	for _, line := range []string{"upp", "up now", "account drop", "bench all", "account create", "account create a"} {
		cmd := exec.Command(binary, strings.Fields(line)...)
		cmd.Env = environment()
		refused(t, line, cmd, 2, "")
	}
}
