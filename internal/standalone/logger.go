package standalone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// noise are messages the server logs at WARN or ERROR in a healthy single-node set-up. They would only make people worry.
var noise = map[string]bool{
	// Nexus is not part of Waybill.
	"HTTP API port has not been set. Nexus HTTP endpoints will not be available. To enable Nexus, follow these " +
		"instructions: https://github.com/temporalio/temporal/blob/main/docs/architecture/nexus.md#enabling-nexus.": true,
	// A stream was opened without the token. Anybody on the machine may try, as often as they like; the answer tells them.
	"Authorization error": true,
}

// fatal is what logger.Fatal panics with while the server is being constructed, which happens on our own goroutine.
type fatal struct{ err error }

// serverLogger routes the Temporal server's log to slog, WARN and up.
type serverLogger struct {
	to   *slog.Logger
	tags []tag.Tag
	run  *serverRun
}

// serverRun is what all loggers of one server share.
type serverRun struct {
	built    atomic.Bool // the constructor has returned
	stopping atomic.Bool // errors are expected from here on
	failed   chan error  // at most one
	away     outage
}

var (
	_ log.Logger     = (*serverLogger)(nil)
	_ log.WithLogger = (*serverLogger)(nil)
)

func newServerLogger(to *slog.Logger) *serverLogger {
	return &serverLogger{to: to.With("component", "temporal"), run: &serverRun{failed: make(chan error, 1), away: outage{quiet: outageOver}}}
}

// Debug drops the message: the server writes several per request.
func (l *serverLogger) Debug(string, ...tag.Tag) {}

// Info drops the message too; it tells the server's operator what we decided ourselves.
func (l *serverLogger) Info(string, ...tag.Tag) {}

func (l *serverLogger) Warn(msg string, tags ...tag.Tag)   { l.write(slog.LevelWarn, msg, tags) }
func (l *serverLogger) Error(msg string, tags ...tag.Tag)  { l.write(slog.LevelError, msg, tags) }
func (l *serverLogger) DPanic(msg string, tags ...tag.Tag) { l.write(slog.LevelError, msg, tags) }

// Panic logs and panics, as the interface says.
func (l *serverLogger) Panic(msg string, tags ...tag.Tag) {
	l.write(slog.LevelError, msg, tags)
	panic(msg)
}

// Fatal must not return, and must not end the process either: only main may. During construction it unwinds to boot; later
// it reports the server as failed and ends the goroutine.
func (l *serverLogger) Fatal(msg string, tags ...tag.Tag) {
	err := errors.New(msg)
	for _, t := range append(l.tags, tags...) {
		if cause, ok := value(t).(error); ok {
			err = fmt.Errorf("%s: %w", msg, cause)
		}
	}
	if !l.run.built.Load() {
		panic(fatal{err})
	}
	if !l.run.stopping.Load() {
		l.write(slog.LevelError, msg, tags)
	}
	select {
	case l.run.failed <- err:
	default:
	}
	runtime.Goexit()
}

// With returns a logger that adds the tags to every message.
func (l *serverLogger) With(tags ...tag.Tag) log.Logger {
	all := make([]tag.Tag, 0, len(l.tags)+len(tags))
	return &serverLogger{to: l.to, tags: append(append(all, l.tags...), tags...), run: l.run}
}

func (l *serverLogger) write(level slog.Level, msg string, tags []tag.Tag) {
	if noise[msg] || l.run.stopping.Load() {
		return
	}
	ctx := context.Background()
	if !l.to.Enabled(ctx, level) {
		return
	}
	if err := unreached(tags, l.tags); err != nil {
		l.run.away.fold(l.to, l.run.stopping.Load, msg, err)
		return
	}
	attrs := make([]slog.Attr, 0, len(l.tags)+len(tags))
	for _, ts := range [][]tag.Tag{l.tags, tags} {
		for _, t := range ts {
			attrs = append(attrs, slog.Any(t.Key(), value(t)))
		}
	}
	l.to.LogAttrs(ctx, level, msg, attrs...)
}

// value unwraps errors, which zap's encoder would turn into text.
func value(t tag.Tag) any {
	if z, ok := t.(tag.ZapTag); ok {
		if err, ok := z.Field().Interface.(error); ok {
			return err
		}
	}
	return t.Value()
}
