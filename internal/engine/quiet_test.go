package engine

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/log"
)

func TestASignOfLifeThatTheEndCutOffIsNoWarning(t *testing.T) {
	const msg = "RecordActivityHeartbeat with error"
	for name, c := range map[string]struct {
		err  error
		warn bool
	}{
		"cut off":            {context.Canceled, false},
		"cut off, by gRPC":   {serviceerror.NewCanceled("context canceled"), false},
		"not known any more": {serviceerror.NewNotFound("no such activity"), true},
		"away":               {errors.New("connection refused"), true},
	} {
		var out bytes.Buffer
		quiet{log.NewStructuredLogger(slog.New(slog.NewTextHandler(&out, nil)))}.Warn(msg, "Error", c.err)
		if strings.Contains(out.String(), msg) != c.warn {
			t.Errorf("%s: the log is %q", name, out.String())
		}
	}
	var out bytes.Buffer
	quiet{log.NewStructuredLogger(slog.New(slog.NewTextHandler(&out, nil)))}.Warn("something else", "Error", context.Canceled)
	if !strings.Contains(out.String(), "something else") {
		t.Error("another warning is not shown")
	}
}
