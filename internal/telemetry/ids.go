package telemetry

import (
	"context"
	"crypto/sha256"
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"
)

// ids makes the ids of traces and spans: at random, but for spans whose id a context fixes.
type ids struct{}

type fixedKey struct{}

// fixed makes the next span begun with the context have an id made of the trace and the key. A workflow that is replayed, by
// another worker perhaps, begins the span of its run anew; what was hung below it before still hangs there.
func fixed(ctx context.Context, key string) context.Context {
	if key == "" {
		return ctx
	}
	return context.WithValue(ctx, fixedKey{}, key)
}

// NewIDs is sdktrace.IDGenerator's.
func (g ids) NewIDs(ctx context.Context) (id trace.TraceID, span trace.SpanID) {
	if key, ok := ctx.Value(fixedKey{}).(string); ok { // a replay of a root must find its trace again
		sum := sha256.Sum256([]byte(key))
		copy(id[:], sum[:16])
		return id, g.NewSpanID(ctx, id)
	}
	for !id.IsValid() {
		put(id[:8], rand.Uint64())
		put(id[8:], rand.Uint64())
	}
	return id, g.NewSpanID(ctx, id)
}

// NewSpanID is sdktrace.IDGenerator's.
func (ids) NewSpanID(ctx context.Context, id trace.TraceID) (span trace.SpanID) {
	if key, ok := ctx.Value(fixedKey{}).(string); ok {
		sum := sha256.Sum256(append(id[:], key...))
		copy(span[:], sum[:8])
	}
	for !span.IsValid() {
		put(span[:], rand.Uint64())
	}
	return span
}

func put(to []byte, v uint64) {
	for i := range 8 {
		to[i] = byte(v >> (8 * i))
	}
}
