package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestSandbox looks at what a program can reach of the server it runs on.
func TestSandbox(t *testing.T) {
	t.Parallel()
	p := sharedProgram(t)
	if line := sandboxLine(p.printed(t)); !strings.Contains(line, "landlock") {
		t.Skip("this machine has no sandbox: " + line)
	}
	c := p.tenant(t, "sandbox")
	other := c.submit(t, c.configure(t, "other", script(`echo theirs > "$LOCAL_JOB_OUT_DIR/secret.txt"; sleep 600`))).text("id")
	c.reaches(t, other, "RUNNING", time.Minute)
	s := script(`
try() { if eval "$2" 2>/dev/null; then echo "REACHED $1"; else echo "held $1"; fi; }
try master-key 'cat "$DATA/master.key" >/dev/null'
try database 'cat "$DATA/waybill.db" >/dev/null'
try data-folder 'ls "$DATA" >/dev/null'
try objects 'ls "$DATA/objects" >/dev/null'
try shadow 'cat /etc/shadow >/dev/null'
try package 'echo x >> "$0"'
try package-folder 'echo x > "$(dirname "$0")/new"'
try outside 'echo x > "$OUTSIDE"'
try server-environment 'tr "\0" "\n" < /proc/$SERVER/environ | grep -q WAYBILL_ADMIN_PASSWORD'
try own-environment 'env | grep -q WAYBILL_ADMIN_PASSWORD'
try other-job '(cd "$DATA" && cat work/jobs/*/out/secret.txt)'
try temp '! echo x > "${TMPDIR:-/tmp}/mine"'
try out '! echo x > "$LOCAL_JOB_OUT_DIR/mine"'
`)
	outside := t.TempDir() + "/written"
	s.runtime = object{"macros": []object{
		{"key": "DATA", "value": p.data}, {"key": "OUTSIDE", "value": outside}, {"key": "SERVER", "value": fmt.Sprint(p.run.PID)},
	}}
	job := c.submit(t, c.configure(t, "curious", s)).text("id")
	j := c.finish(t, job, time.Minute)
	log := c.log(t, job)
	expect(t, "the status", j.text("status"), "FINISHED")
	if strings.Contains(log, "REACHED") || strings.Count(log, "held ") != 13 {
		t.Errorf("the program reached what it must not, or was held from what is its own:\n%s", log)
	}
	if _, err := os.Stat(outside); err == nil {
		t.Errorf("the program has written %s", outside)
	}
	c.do(t, http.StatusAccepted, http.MethodDelete, "/api/jobs/"+other, nil)
	c.finish(t, other, time.Minute)
	noProcess(t, job, other)
}

func sandboxLine(stdout string) string {
	for line := range strings.Lines(stdout) {
		if name, rest, found := strings.Cut(strings.TrimSpace(line), "  "); found && name == "Sandbox" {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
