package logs

import (
	"context"
	"log/slog"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

// Keys of what is added. They are part of the interface (docs/observability.md).
const (
	TraceID = "trace_id"
	SpanID  = "span_id"
	Request = "request"
	Account = "account"
	User    = "user_id"
	Job     = "job"
	Attempt = "attempt"
)

// Source is asked when a line is written, so that it can tell what was found out since it was put into the context.
type Source interface {
	LogAttrs() []slog.Attr
}

type key struct{}

// With makes lines written with the context tell what the source knows, in place of an earlier source.
func With(ctx context.Context, s Source) context.Context { return context.WithValue(ctx, key{}, s) }

// Attrs is a source that knows all it will ever know.
type Attrs []slog.Attr

// LogAttrs is Source's.
func (a Attrs) LogAttrs() []slog.Attr { return a }

// Handler adds what contexts know to the lines it passes on. What a line tells itself is not added again.
type Handler struct{ next slog.Handler }

// NewHandler makes a Handler before another one.
func NewHandler(next slog.Handler) Handler { return Handler{next} }

// Enabled is slog.Handler's.
func (h Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle is slog.Handler's.
func (h Handler) Handle(ctx context.Context, r slog.Record) error {
	var add []slog.Attr
	if at := trace.SpanContextFromContext(ctx); at.IsValid() {
		add = append(add, slog.String(TraceID, at.TraceID().String()), slog.String(SpanID, at.SpanID().String()))
	}
	if s, ok := ctx.Value(key{}).(Source); ok {
		add = append(add, s.LogAttrs()...)
	}
	if len(add) == 0 {
		return h.next.Handle(ctx, r)
	}
	r.Attrs(func(own slog.Attr) bool {
		add = slices.DeleteFunc(add, func(a slog.Attr) bool { return a.Key == own.Key })
		return true
	})
	r = r.Clone()
	r.AddAttrs(add...)
	return h.next.Handle(ctx, r)
}

// WithAttrs is slog.Handler's.
func (h Handler) WithAttrs(attrs []slog.Attr) slog.Handler { return Handler{h.next.WithAttrs(attrs)} }

// WithGroup is slog.Handler's.
func (h Handler) WithGroup(name string) slog.Handler { return Handler{h.next.WithGroup(name)} }
