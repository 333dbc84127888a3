package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

// The measurement comes to its end, and has a line for each phase of jobs and of both kinds of bare workflows.
func TestBenchJobs(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out, log bytes.Buffer
	code := run(ctx, func() {}, []string{"bench", "jobs", "--n", "4", "--serial", "2", "--concurrency", "2"}, &out, &log)
	if code != exitOK || strings.Count(out.String(), " MiB\n") != 6 || !strings.Contains(out.String(), "x the jobs/s") {
		t.Errorf("exit code %d\n%s\n%s", code, out.String(), log.String())
	}
}
