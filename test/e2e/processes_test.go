package e2e

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// processesOf finds the processes that have the job's id in their environment. Those of other users can not be read and
// are left out: jobs run as the user that runs Waybill.
func processesOf(job string) (pids []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is well formed
	mark := []byte("JOB_ID=" + job)
	for _, file := range all {
		env, err := os.ReadFile(file)
		if err != nil { // ended meanwhile, or another user's
			continue
		}
		for v := range bytes.SplitSeq(env, []byte{0}) {
			if bytes.Equal(v, mark) {
				pids = append(pids, filepath.Base(filepath.Dir(file)))
			}
		}
	}
	return pids
}

var errNoProcess = errors.New("the running job has no process")

// TestProcessesAreFound shows that noProcess can fail: a job that runs is found by its id.
func TestProcessesAreFound(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("this system does not show the environment of processes")
	}
	c := sharedProgram(t).admin(t)
	id := c.configure(t, unique("found"), script("sleep 600"))
	job := c.submit(t, id).text("id")
	c.reaches(t, job, "RUNNING", time.Minute)
	eventually(t, time.Minute, func() error {
		if len(processesOf(job)) == 0 {
			return errNoProcess
		}
		return nil
	})
	c.do(t, 202, "DELETE", "/api/jobs/"+job, nil)
	c.finish(t, job, time.Minute)
	noProcess(t, job)
}
