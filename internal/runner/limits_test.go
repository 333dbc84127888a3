package runner

import (
	"strings"
	"testing"

	"waybill/internal/job"
	"waybill/internal/sandbox"
)

func TestLimitsComeFromConfigThenPackageAndNeverPassTheWorkers(t *testing.T) {
	t.Parallel()
	worker := sandbox.Limits{Memory: 1 << 30, Processes: 100, OpenFiles: 1000, FileSize: 1 << 30, Disk: 1 << 30}
	config := job.Resources{MemoryMiB: 4096, OpenFiles: 10}
	asked := &job.Manifest{Resources: job.Resources{MemoryMiB: 64, CPUs: 0.5, OpenFiles: 20, DiskMiB: 5, Network: job.NetworkNone}}
	r := config.Over(asked.ResourcesOf(nil))
	if want := (job.Resources{MemoryMiB: 4096, CPUs: 0.5, OpenFiles: 10, DiskMiB: 5, Network: job.NetworkNone}); r != want {
		t.Errorf("resources %+v, want %+v", r, want)
	}
	want := sandbox.Limits{Memory: 1 << 30, CPUs: 0.5, Processes: 100, OpenFiles: 10, FileSize: 5 << 20, Disk: 5 << 20}
	if got := limitsOf(r, worker); got != want {
		t.Errorf("limits %+v, want %+v", got, want)
	}
	if got := limitsOf(job.Resources{}, worker); got != worker {
		t.Errorf("nothing asked: %+v, want %+v", got, worker)
	}
}

func TestAJobOverItsLimitSaysWhich(t *testing.T) {
	for _, mode := range []sandbox.Mode{sandbox.Auto, sandbox.Off} {
		r := newRunner(t, func(c *Config) { c.Sandbox, c.JobLimits = mode, sandbox.Limits{Disk: 100 << 20} })
		a := mustPrepare(t, r, lease(t, r, "run.sh", []byte(`head -c 3000000 /dev/zero >"$LOCAL_JOB_OUT_DIR/f"; while :; do sleep 1; done`)),
			job.Spec{Resources: job.Resources{DiskMiB: 2, CPUs: 1}})
		result, err := a.Run(t.Context())
		if err != nil || result.Limit != sandbox.LimitDisk || result.Message() != "The program was ended: it used more than its limit of 2 MiB of disk space" {
			t.Errorf("%s: got %+v %v", mode, result, err)
		}
		if text := a.Sandbox(); !strings.HasPrefix(text, r.Sandbox()+"; ") || !strings.Contains(text, "disk 2 MiB") {
			t.Errorf("%s: the sandbox is told as %q", mode, text)
		}
		if r.sandbox.Held(sandbox.Limits{CPUs: 1}).CPUs == 0 != strings.Contains(a.log.text(), "the limit on processors is not in force") {
			t.Errorf("%s: the log says %q", mode, a.log.text())
		}
	}
}
