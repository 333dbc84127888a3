package settings

import (
	"strings"
	"testing"
)

func TestJobLimits(t *testing.T) {
	s, err := load(t)
	if want := (JobLimits{Memory: -1, Processes: 1024, OpenFiles: 4096, Disk: 10 << 30}); err != nil || s.Jobs != want {
		t.Errorf("defaults %+v %v, want %+v", s.Jobs, err, want)
	}
	s, err = load(t, "--job-memory", "536870912", "--job-cpus", "1.5", "--job-processes", "0", "--job-open-files", "64", "--job-disk", "1048576", "--job-network", "none")
	if want := (JobLimits{Memory: 512 << 20, CPUs: 1.5, OpenFiles: 64, Disk: 1 << 20, NoNetwork: true}); err != nil || s.Jobs != want {
		t.Errorf("got %+v %v, want %+v", s.Jobs, err, want)
	}
	if s, err = load(t, "--job-memory", "0"); err != nil || s.Jobs.Memory != 0 {
		t.Errorf("no limit on memory: %+v %v", s.Jobs, err)
	}
	for flag, values := range map[string][]string{
		"--job-memory": {"1000", "-5", "512M", "most"}, "--job-cpus": {"-1", "NaN", "Inf", "two"}, "--job-processes": {"-1", "x"},
		"--job-open-files": {"3"}, "--job-disk": {"5"}, "--job-network": {"", "some"},
	} {
		for _, v := range values {
			if _, err := load(t, flag+"="+v); err == nil || !strings.Contains(err.Error(), flag) {
				t.Errorf("%s %s: %v", flag, v, err)
			}
		}
	}
}
