package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// leaks is how a secret might show: in clear, and in the middle of base64 and of hexadecimal digits.
func leaks(value string) map[string][]byte {
	found := map[string][]byte{"in clear": []byte(value), "in hex": []byte(hex.EncodeToString([]byte(value)))}
	for before := range 3 {
		coded := base64.RawStdEncoding.EncodeToString(append(make([]byte, before), value...))
		found[fmt.Sprintf("in base64 behind %d bytes", before)] = []byte(coded[(before*8+5)/6 : (before+len(value))*8/6])
	}
	return found
}

// TestNoSecretIsLeftBehind runs jobs that are careless with secrets in every way, and then looks for those in all that the
// program has written: databases, histories, objects, logs, replies.
func TestNoSecretIsLeftBehind(t *testing.T) {
	t.Parallel()
	// No value is in a script: a package is stored as it was uploaded.
	secrets := map[string]string{
		"PW": "Zq7-leak-plain/4711?", "KEY": "Zq7-leak-line-one-0815\nZq7-leak-line-two-2342\n", "HOOK": "Zq7-leak-hook-1234567", "HEADER": "Zq7-leak-header-98765",
	}
	p := start(t, options{data: folder(t), args: []string{"--callbacks-allow-private"}})
	c := p.admin(t)
	receiver := newReceiver(t, 0)
	macros := []object{
		{"key": "PW", "value": secrets["PW"], "secure": true}, {"key": "KEY", "value": secrets["KEY"], "secure": true},
		{"key": "URL", "value": "https://user:$(PW)@example.com/"},
	}
	callbacks := []object{{"url": receiver.url, "secret": secrets["HOOK"]}}
	careless := script(`set -x
echo "$PW $URL"; echo "$KEY"; printf %s "$PW" | base64; printf 'user:%s' "$PW" | base64; printf %s "$PW" | od -An -v -tx1 | tr -d ' \n'; echo
printf '{"type":"step","name":"%s","status":"started"}\n{"type":"error","recordId":"1","code":"%s","message":"bad %s"}\n' "$PW" "$PW" "$URL" >>"$WAYBILL_EVENTS"
mkdir -p "$(dirname "$LOCAL_JOB_OUT_DIR/$PW")"; echo data >"$LOCAL_JOB_OUT_DIR/$PW.txt"
echo "$SESSION_ID"
exit 3`)
	careless.runtime = object{"macros": macros}
	careless.config = object{"callbacks": callbacks, "retryPolicy": object{"maximumAttempts": 2, "initialInterval": "1s"}}
	missing := script("")
	missing.content, missing.key, missing.entry = []byte("#!/no/such/interpreter\n"), "main.lang", "main.lang"
	missing.runtime, missing.config = object{"macros": macros}, object{"callbacks": callbacks}
	circle := script("exit 0")
	circle.runtime = object{"macros": append(slices.Clone(macros), object{"key": "not-a-name", "value": "$(PW)"})}

	config := c.configure(t, "careless", careless)
	failed := c.submit(t, config).text("id")
	jobs := []string{failed, c.submit(t, c.configure(t, "no interpreter", missing)).text("id"), c.submit(t, c.configure(t, "odd name", circle)).text("id")}
	c.do(t, http.StatusCreated, http.MethodPost, "/api/jobconfigs/"+config+"/schedule", object{
		"name": "often", "type": "interval", "intervalFrequency": "60m",
		"webhookConfig": object{"method": "POST", "endpoint": receiver.url, "headers": object{"X-Secret": secrets["HEADER"]}},
	})
	var replies strings.Builder
	for _, j := range jobs {
		replies.WriteString(fmt.Sprint(c.finish(t, j, time.Minute)))
	}
	retry := c.do(t, http.StatusAccepted, http.MethodPost, "/api/jobs/"+failed+"/retry", object{}).object(t).text("id")
	replies.WriteString(fmt.Sprint(c.finish(t, retry, time.Minute)))
	jobs = append(jobs, retry)
	calls := receiver.waits(t, 5) // started and failed of the job and its retry; failed of the one without an interpreter
	for _, call := range calls {
		replies.WriteString(call.body)
	}
	for _, j := range jobs {
		for _, path := range []string{"", "/log", "/steps", "/errors", "/events", "/attempts", "/out/files", "/family", "/deliveries"} {
			reply, err := c.send(t.Context(), http.MethodGet, "/api/jobs/"+j+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			replies.Write(reply.body)
		}
		replies.WriteString(workflowHistory(t, p, "job-"+j))
	}
	for _, path := range []string{"/api/jobconfigs", "/api/jobconfigs/" + config, "/api/jobconfigs/" + config + "/schedule", "/api/jobs"} {
		replies.Write(c.do(t, http.StatusOK, http.MethodGet, path, nil).body)
	}
	if log := c.log(t, failed); strings.Count(log, "***") < 10 {
		t.Fatalf("the careless job did not print its secrets:\n%s", log)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	for name, value := range secrets {
		values := []string{value}
		if strings.Contains(value, "\n") {
			values = strings.Split(strings.TrimSpace(value), "\n")
		}
		for _, value := range values {
			for how, shape := range leaks(value) {
				if bytes.Contains([]byte(replies.String()), shape) {
					t.Errorf("a reply, a callback or a history holds %s %s", name, how)
				}
				if bytes.Contains([]byte(p.stderr.String()), shape) {
					t.Errorf("the server's log holds %s %s", name, how)
				}
				for _, file := range filesWith(t, p.data, shape) {
					t.Errorf("%s holds %s %s", file, name, how)
				}
			}
		}
	}
	// The search itself finds what is there, in the databases and among the objects.
	if found := filesWith(t, p.data, []byte("no interpreter")); len(found) == 0 {
		t.Errorf("the name of a config is in no file of %s", p.data)
	}
	if found := filesWith(t, filepath.Join(p.data, "objects"), []byte("***")); len(found) == 0 {
		t.Error("no masked log is among the objects")
	}
}

// filesWith lists the files below a folder whose bytes, or whose name, hold a text.
func filesWith(t *testing.T, dir string, text []byte) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if bytes.Contains([]byte(path), text) {
			found = append(found, path+" (its name)")
		}
		if !d.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		if err == nil && bytes.Contains(content, text) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestKeysAreReplacedWhileJobsRun rotates sealing keys and the master key under a program that runs.
func TestKeysAreReplacedWhileJobsRun(t *testing.T) {
	t.Parallel()
	const secret = "Zq8-rotated-value"
	p := start(t, options{data: folder(t)})
	c := p.admin(t)
	s := script(`[ "$PW" = "Zq8-rotated""-value" ] && echo right`)
	s.runtime = object{"macros": []object{{"key": "PW", "value": secret, "secure": true}}}
	config := c.configure(t, "rotated", s)
	works := func(when string) {
		t.Helper()
		job := c.submit(t, config).text("id")
		c.finish(t, job, time.Minute)
		if log := c.log(t, job); !strings.Contains(log, "right") {
			t.Errorf("%s: %s", when, log)
		}
	}
	keys := func(args ...string) (code int, stdout, stderr string) {
		t.Helper()
		cmd := command(options{data: p.data, command: "keys", args: args})
		return execute(t, cmd)
	}
	works("before")
	if code, out, faults := keys("rotate"); code != 0 || !strings.Contains(out, "values are sealed anew") {
		t.Fatalf("rotate: %d %s %s", code, out, faults)
	}
	works("after a rotation")
	c.get(t, "/api/jobconfigs/"+config) // the login from before stands
	_, list, _ := keys("list")
	first := strings.Fields(strings.Split(list, "\n")[1])[0]
	if code, _, faults := keys("drop", first); code == 0 || !strings.Contains(faults, "with key "+first) {
		t.Errorf("drop: %d %s", code, faults)
	}
	if code, out, faults := keys("new-master"); code != 0 {
		t.Fatalf("new-master: %d %s %s", code, out, faults)
	}
	works("with two master keys")
	if code, out, faults := keys("drop-master", first); code != 0 { // the first sealing key is the first master key
		t.Fatalf("drop-master: %d %s %s", code, out, faults)
	}
	works("with the new master key")
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p = start(t, options{data: p.data})
	c = p.admin(t)
	works("after a start with the new one")
}
