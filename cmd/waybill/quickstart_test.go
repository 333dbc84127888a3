package main

import (
	"context"
	"io"
	"path/filepath"
	"testing"
)

// Whoever asked for the job's exit status must not take an interrupted run for a job that completed.
func TestInterruptedQuickstartDoesNotPassForACompletedJob(t *testing.T) {
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		flag string
		code int
	}{{"--exit=true", exitFailed}, {"--exit=false", exitOK}} {
		args := []string{
			"quickstart", c.flag, "--data", filepath.Join(t.TempDir(), "data"),
			"--listen", "127.0.0.1:0", "--engine-listen", "127.0.0.1:0", "--engine-ui-listen", "127.0.0.1:0",
		}
		if code := run(interrupted, func() {}, args, io.Discard, io.Discard); code != c.code {
			t.Errorf("%s: exit code %d, want %d", c.flag, code, c.code)
		}
	}
}
