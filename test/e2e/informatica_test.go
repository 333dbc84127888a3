package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// lister counts some records and ends when it has.
const lister = `#!/bin/sh
. "$WAYBILL_HELPERS/waybill.sh"
echo "working for ${WHO:-nobody}"
sleep 0.2
`

// stubborn takes its time when it is asked to end.
const stubborn = `#!/bin/sh
trap 'sleep 12; echo "row finished"; exit 0' TERM
echo started
while :; do sleep 0.1; done
`

// TestInformaticasPythonProgram runs a program in the form that the vendor's page prints, changed in host and credentials only, against the
// real program, and follows what it started in both lists.
func TestInformaticasPythonProgram(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	if text, err := exec.Command(python, "-c", "import requests").CombinedOutput(); err != nil {
		t.Skipf("python3 has no requests (Debian: python3-requests): %s", text)
	}
	p := sharedProgram(t)
	c := p.admin(t)
	name := unique("Task_Items")
	config := c.configure(t, name, setup{key: "main.sh", content: []byte(lister), entry: "main.sh"})
	objectID := c.get(t, "/api/jobconfigs/"+config).text("objectId")
	script, err := filepath.Abs("testdata/informatica.py")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, script, p.run.URL, p.run.AdminUser, adminPassword, objectID)
	var out, faults bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append(environment(), "NO_PROXY=*"), &out, &faults
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), faults.String())
	}
	t.Logf("the program prints:\n%s", out.String())
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	want := `<?xml version="1.0" encoding="UTF-8"?><job><taskId>` + objectID + `</taskId><taskName>` + name + `</taskName><taskType>MTT</taskType><runId>1</runId></job>`
	if len(lines) != 3 || lines[0] != "serverUrl "+p.run.URL+"/saas" || lines[1] != "200 "+want {
		t.Fatalf("it prints %q, want %q", out.String(), want)
	}
	session := strings.TrimPrefix(lines[2], "session ")
	eventually(t, time.Minute, func() error {
		var entries []object
		r := c.do(t, http.StatusOK, http.MethodGet, "/saas/api/v2/activity/activityLog?taskId="+objectID+"&runId=1", nil, "icSessionId", session)
		if err := json.Unmarshal(r.body, &entries); err != nil {
			t.Fatal(err)
		}
		if len(entries) == 1 && entries[0].text("state") == "1" {
			return nil
		}
		return fmt.Errorf("the log has %s", r.body)
	})
}

// TestInformaticasCleanStop gives a program longer than the setting to end, and a plain stop does not.
func TestInformaticasCleanStop(t *testing.T) {
	t.Parallel()
	c := sharedProgram(t).admin(t)
	login := c.do(t, http.StatusOK, http.MethodPost, "/ma/api/v2/user/login", object{"username": "admin", "password": adminPassword}).object(t)
	session := []string{"icSessionId", login.text("icSessionId")}
	for clean, want := range map[bool]bool{true: true, false: false} {
		name := unique("Stubborn")
		config := c.configure(t, name, setup{key: "main.sh", content: []byte(stubborn), entry: "main.sh"})
		c.do(t, http.StatusOK, http.MethodPost, "/saas/api/v2/job", object{"taskName": name, "taskType": "DSS"}, session...)
		id := c.get(t, "/api/jobconfigs/"+config+"/jobs").items()[0].text("id")
		log := func() string {
			r, err := c.send(t.Context(), http.MethodGet, "/api/jobs/"+id+"/log", nil)
			if err != nil || r.status != http.StatusOK {
				return ""
			}
			return string(r.body)
		}
		eventually(t, time.Minute, func() error {
			if text := log(); !strings.Contains(text, "started") {
				return fmt.Errorf("its log is %q", text)
			}
			return nil
		})
		c.do(t, http.StatusOK, http.MethodPost, fmt.Sprintf("/saas/api/v2/job/stop?cleanStop=%v", clean), object{"taskName": name, "taskType": "DSS"}, session...)
		eventually(t, 2*time.Minute, func() error {
			if r, err := c.send(t.Context(), http.MethodGet, "/saas/api/v2/activity/activityLog/"+id, nil, session...); err != nil || r.status != http.StatusOK {
				return fmt.Errorf("it has not ended: %v %v", r, err)
			}
			return nil
		})
		entry := c.do(t, http.StatusOK, http.MethodGet, "/saas/api/v2/activity/activityLog/"+id, nil, session...).object(t)
		if entry.text("isStopped") != "true" || entry.text("state") != "3" || entry.text("errorMsg") != "Stopped by admin" {
			t.Errorf("entry %v", entry)
		}
		if got := strings.Contains(log(), "row finished"); got != want {
			t.Errorf("clean %v: log %q", clean, log())
		}
	}
}
