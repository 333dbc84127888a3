package settings

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestWhoRunsProgramsIsToldWhereTheyCallTheAPI(t *testing.T) {
	for role, takes := range map[Role]bool{Up: true, API: false, WorkerOnly: true, Tool: false} {
		flags := pflag.NewFlagSet(string(role), pflag.ContinueOnError)
		AddFlags(flags, role)
		if err := flags.Parse([]string{"--jobs-url", "http://balancer:8080"}); (err == nil) != takes {
			t.Errorf("%s: %v", role, err)
			continue
		}
		if !takes {
			continue
		}
		if s, err := Load(flags); err != nil || s.JobsURL != "http://balancer:8080" {
			t.Errorf("%s: %q, %v", role, s.JobsURL, err)
		}
	}
	if _, err := load(t, "--jobs-url", "balancer:8080"); err == nil || !strings.Contains(err.Error(), "--jobs-url") {
		t.Errorf("no URL: %v", err)
	}
	setenv(t, "jobs-url", "http://balancer:8080")
	if s, err := load(t); err != nil || s.JobsURL != "http://balancer:8080" || s.BaseURL != "" {
		t.Errorf("by the environment: %q, %q, %v", s.JobsURL, s.BaseURL, err)
	}
}
