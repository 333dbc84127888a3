package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// listCall is ListWorkflowExecutions of the namespace default, as it goes over the wire, in the escapes of printf.
const listCall = `\000\000\000\000\011\012\007default`

// attack is a program that lists and terminates workflows over gRPC, with nothing but curl. It says how each call ended.
const attack = `
call() {
	printf '` + listCall + `' | curl -sS -v -o /dev/null --max-time 20 --http2-prior-knowledge -H 'content-type: application/grpc' -H 'te: trailers' $2 \
		--data-binary @- "http://$ENGINE/temporal.api.workflowservice.v1.WorkflowService/$1" 2>&1 | tr -d '\r' | sed -n "s/^< grpc-status: /$1 grpc-status /p"
}
call ListWorkflowExecutions "$HEADER"
call TerminateWorkflowExecution "$HEADER"
echo "web $(curl -sS --max-time 20 -o /dev/null -w '%{http_code}' "$UI/api/v1/namespaces/default/workflows")"
cat "$DATA/engine-token" >/dev/null 2>&1 && echo "token is read"
echo done`

// TestJobsCanNotSteerTheEngine: a program with the network at its disposal reaches Temporal and its Web UI, and is refused.
func TestJobsCanNotSteerTheEngine(t *testing.T) {
	t.Parallel()
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	if out, err := exec.CommandContext(t.Context(), curl, "--version").Output(); err != nil || !strings.Contains(string(out), "HTTP2") {
		t.Skip("this curl does not speak HTTP/2")
	}
	p := sharedProgram(t)
	c := p.admin(t)
	macros := []object{{"key": "ENGINE", "value": p.run.TemporalAddress}, {"key": "UI", "value": p.run.TemporalUI}, {"key": "DATA", "value": p.data}, {"key": "HEADER", "value": ""}}
	config := c.configure(t, "attack", setup{key: "main.sh", content: []byte("#!/bin/sh\n" + attack), entry: "main.sh", runtime: object{"macros": macros}})

	// The same calls succeed with the token: it is the token that holds the program back, and not the way the calls are made.
	real := exec.CommandContext(t.Context(), "sh", "-c", attack)
	real.Env = append(environment(), "ENGINE="+p.run.TemporalAddress, "UI="+p.run.TemporalUI, "DATA="+p.data,
		"HEADER=-K"+writeFile(t, "header = \"authorization: Bearer "+p.token(t)+"\"\n"))
	code, out, errs := execute(t, real)
	if code != 0 || !strings.Contains(out, "ListWorkflowExecutions grpc-status 0\n") || strings.Contains(out, "TerminateWorkflowExecution grpc-status 7") || !strings.Contains(out, "token is read") {
		t.Fatalf("with the token, and outside of a job, it ends with %d: %s\n%s", code, out, errs)
	}

	j := c.finish(t, c.submit(t, config).text("id"), time.Minute)
	log := c.log(t, j.text("id"))
	expect(t, "the attack's status", j.text("status"), "FINISHED")
	for _, part := range []string{"ListWorkflowExecutions grpc-status 7\n", "TerminateWorkflowExecution grpc-status 7\n", "web 401\n", "done\n"} {
		if !strings.Contains(log, part) {
			t.Errorf("the program's log has no %q:\n%s", part, log)
		}
	}
	if strings.Contains(log, "token is read") {
		t.Error("the program can read the token")
	}
}

// writeFile makes a file of the test's own.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWebUISignIn: the admins of the first account see the Web UI, and nobody else; failures lock out as those of the API do.
func TestWebUISignIn(t *testing.T) {
	t.Parallel()
	p := start(t, options{data: folder(t)})
	ask := func(user, word string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.run.TemporalUI+"/api/v1/namespaces/default/workflows", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(user, word)
		res, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode
	}
	expect(t, "the admin", ask("admin", adminPassword), 200)
	expect(t, "the admin again, by what is remembered", ask("admin", adminPassword), 200)
	if code, out, errs := createAccount(t, p.data, "other", "theirs", "tulips of theirs"); code != 0 {
		t.Fatalf("account create ends with %d: %s%s", code, out, errs)
	}
	expect(t, "an admin of another account", ask("theirs", "tulips of theirs"), 401)
	expect(t, "an unknown user", ask("nobody", "x"), 401)
	code, out, errs := execute(t, exec.Command(binary, "admin", "audit", "export", "--data", p.data))
	if code != 0 {
		t.Errorf("admin audit export ends with %d: %s", code, errs)
	}
	for _, of := range []string{`"actor":"admin",.*"result":"ok"`, `"actor":"theirs",.*"result":"denied"`, `"actor":"",.*"result":"denied"`} {
		if n := len(regexp.MustCompile(`(?m)^.*`+of+`.*$`).FindAllString(webUILogins(out), -1)); n != 1 {
			t.Errorf("%d sign-ins to the Web UI with %s in the audit log:\n%s", n, of, out)
		}
	}
	for range 10 {
		expect(t, "a wrong password", ask("admin", "wrong"), 401)
	}
	if _, err := login(t.Context(), p.run.URL, "admin", adminPassword); err == nil || !strings.Contains(err.Error(), "locked") {
		t.Errorf("after ten failures at the Web UI a login ends with %v", err)
	}
}

// webUILogins are the lines of an audit log that are about the Web UI.
func webUILogins(out string) string {
	var list []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, `"action":"webui.login"`) {
			list = append(list, line)
		}
	}
	return strings.Join(list, "")
}

// TestTemporalEnv uses what `waybill temporal env` prints with the real command, and a token that was replaced.
func TestTemporalEnv(t *testing.T) {
	t.Parallel()
	cli := temporalCLI(t)
	if cli == "" {
		t.Skip("the temporal command is not installed")
	}
	o := options{data: folder(t)}
	p := start(t, o)
	list := func() (int, string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-c", `eval "$("$0" temporal env --data "$1")" && exec "$2" workflow list`, binary, p.data, cli)
		cmd.Env = append(environment(), "HOME="+t.TempDir())
		code, out, errs := execute(t, cmd)
		return code, out + errs
	}
	if code, out := list(); code != 0 {
		t.Fatalf("it ends with %d: %s", code, out)
	}
	old := p.token(t)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	code, _, errs := execute(t, &exec.Cmd{Path: binary, Args: []string{binary, "temporal", "env", "--data", p.data}, Env: environment()})
	if code != 1 || !strings.Contains(errs, "no Waybill runs") {
		t.Errorf("without a Waybill it ends with %d: %s", code, errs)
	}
	if err := os.Remove(filepath.Join(p.data, "engine-token")); err != nil {
		t.Fatal(err)
	}
	p = start(t, o)
	if p.token(t) == old {
		t.Error("the token is the old one")
	}
	if code, out := list(); code != 0 {
		t.Errorf("with a new token it ends with %d: %s", code, out)
	}
}

// pgDatabase makes an empty database on the server of WAYBILL_TEST_POSTGRES and gives its URL; it and the engine's are dropped at
// the end. Without a server the test is left out.
func pgDatabase(t *testing.T) (admin *pgx.Conn, at string) {
	t.Helper()
	server := os.Getenv("WAYBILL_TEST_POSTGRES")
	if server == "" {
		t.Skip("WAYBILL_TEST_POSTGRES is not set (test/bin/with-postgres)")
	}
	admin, err := pgx.Connect(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("e2e_%x", time.Now().UnixNano())
	if _, err := admin.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, suffix := range []string{"", "_temporal", "_temporal_visibility"} {
			if _, err := admin.Exec(context.Background(), "DROP DATABASE IF EXISTS "+name+suffix+" WITH (FORCE)"); err != nil {
				t.Error(err)
			}
		}
		_ = admin.Close(context.Background())
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return admin, u.String()
}

// TestCrashOnPostgres is TestCrash with Waybill's and the engine's data in PostgreSQL.
func TestCrashOnPostgres(t *testing.T) {
	t.Parallel()
	_, at := pgDatabase(t)
	crash(t, options{data: folder(t), env: []string{"WAYBILL_DATABASE=" + at}})
}

// TestEngineMovesToPostgres: what an SQLite engine knew is started again from the job table, and goes on when the database's
// connections are cut. A second Waybill on the same databases is refused.
func TestEngineMovesToPostgres(t *testing.T) {
	t.Parallel()
	admin, at := pgDatabase(t)
	o := options{data: folder(t), env: []string{"WAYBILL_DATABASE=" + at}, args: []string{"--engine-store", "sqlite"}}
	p, err := launch(o)
	if err != nil {
		t.Fatal(err)
	}
	config := p.admin(t).configure(t, "moves", script(`[ "$WAYBILL_ATTEMPT" -gt 1 ] || sleep 600`))
	job := p.admin(t).submit(t, config).text("id")
	p.admin(t).reaches(t, job, "RUNNING", time.Minute)
	if _, err := os.Stat(filepath.Join(p.data, "engine", "temporal.db")); err != nil {
		t.Error(err)
	}
	p.kill(t)

	o.args = nil
	p = start(t, o)
	expect(t, "the job of the engine before", p.admin(t).finish(t, job, 2*time.Minute).text("status"), "FINISHED")
	if _, err := os.Stat(filepath.Join(p.data, "engine", "temporal.db")); !os.IsNotExist(err) {
		t.Errorf("the engine's file is still there: %v", err)
	}

	other := options{data: folder(t), env: append([]string{"WAYBILL_MASTER_KEY_FILE=" + filepath.Join(p.data, "master.key")}, o.env...)}
	refused(t, "a second Waybill on the databases", command(other), 1, "another Waybill runs its Temporal server on the database")

	c := p.admin(t)
	quick := c.configure(t, "after", script(`echo after`))
	for range 3 {
		_, err := admin.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE starts_with(datname, $1)",
			strings.TrimPrefix(mustURL(t, at).Path, "/"))
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, time.Minute, func() error {
		r, err := c.send(t.Context(), http.MethodPost, "/api/jobconfigs/"+quick+"/jobs?wait=20s", nil)
		if err != nil {
			return err
		}
		if !strings.Contains(string(r.body), `"FINISHED"`) {
			return fmt.Errorf("%d %s", r.status, r.body)
		}
		return nil
	})
}

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
