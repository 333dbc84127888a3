package standalone

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

func TestLoggerPassesOnWarningsAndErrors(t *testing.T) {
	var out bytes.Buffer
	l := newServerLogger(slog.New(slog.NewTextHandler(&out, nil)))
	with := log.With(log.With(l, tag.Service("history")), tag.String("shard", "1"))
	with.Debug("quiet")
	with.Info("quiet")
	for msg := range noise {
		with.Warn(msg)
	}
	with.Warn("loud", tag.Error(io.ErrClosedPipe))
	got := out.String()
	if strings.Count(got, "\n") != 1 {
		t.Errorf("log is %q, want one line", got)
	}
	for _, want := range []string{"level=WARN", "msg=loud", "component=temporal", "service=history", "shard=1", "closed pipe"} {
		if !strings.Contains(got, want) {
			t.Errorf("log %q lacks %s", got, want)
		}
	}
	l.run.stopping.Store(true)
	with.Error("while stopping")
	if out.String() != got {
		t.Errorf("log after the stop: %q", out.String())
	}
}

func TestFatalWhileBuildingIsAPanicWithTheCause(t *testing.T) {
	l := newServerLogger(slog.New(slog.DiscardHandler))
	defer func() {
		f, ok := recover().(fatal)
		if !ok || !errors.Is(f.err, io.ErrClosedPipe) {
			t.Errorf("Fatal panics with %v, want the cause", f.err)
		}
	}()
	log.With(l, tag.Error(io.ErrClosedPipe)).Fatal("broken")
	t.Error("Fatal returned")
}

func TestFatalOfARunningServerIsReported(t *testing.T) {
	l := newServerLogger(slog.New(slog.DiscardHandler))
	l.run.built.Store(true)
	returned := make(chan bool, 1)
	go func() {
		ended := false
		defer func() { returned <- ended }()
		l.Fatal("broken", tag.Error(io.ErrClosedPipe))
		ended = true
	}()
	if <-returned {
		t.Error("Fatal returned")
	}
	if err := <-l.run.failed; !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("reported %v, want the cause", err)
	}
}
