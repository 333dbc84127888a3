package e2e

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// slow scenarios are left out with -short.
var slow = map[string]string{"06_timeout": "a config's timeout is at least a minute"}

// after are looked at when a scenario's steps are done: what REST does not show.
var after = map[string]func(t *testing.T, v vars){
	"05_cancel":  func(t *testing.T, v vars) { noProcess(t, v["job"], v["polite"]) },
	"06_timeout": func(t *testing.T, v vars) { noProcess(t, v["job"]) },
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob(filepath.Join("scenarios", "*", "steps.http"))
	if err != nil || len(folders) == 0 {
		t.Fatalf("there are no scenarios: %v", err)
	}
	for _, file := range folders {
		folder := filepath.Dir(file)
		name := filepath.Base(folder)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if reason := slow[name]; reason != "" && testing.Short() {
				t.Skip(reason)
			}
			runScenario(t, folder, name)
		})
	}
	for name := range after {
		if _, err := os.Stat(filepath.Join("scenarios", name)); err != nil {
			t.Errorf("there is no scenario for what comes after it: %v", err)
		}
	}
}

func runScenario(t *testing.T, folder, name string) {
	p := sharedProgram(t)
	steps, err := readSteps(folder)
	if err != nil {
		t.Fatal(err)
	}
	v := vars{
		"url": p.run.URL, "password": adminPassword, "name": unique(name),
		"basic": base64.StdEncoding.EncodeToString([]byte("admin:" + adminPassword)),
	}
	for i, s := range steps {
		if err := s.run(t.Context(), p.admin(t), folder, v); err != nil {
			t.Fatalf("step %d, %q: %v", i+1, s.title, err)
		}
	}
	if look := after[name]; look != nil {
		look(t, v)
	}
}

// noProcess waits until no process of the jobs is left. Programs know their job by the variable JOB_ID, and hand it on to
// what they start.
func noProcess(t *testing.T, jobs ...string) {
	t.Helper()
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Log("this system does not show the environment of processes; that none is left is not looked at")
		return
	}
	eventually(t, time.Minute, func() error {
		for _, j := range jobs {
			if pids := processesOf(j); len(pids) > 0 {
				return fmt.Errorf("processes %v of job %s are left", pids, j)
			}
		}
		return nil
	})
}
