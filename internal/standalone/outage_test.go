package standalone

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// guarded may be written to and read at once.
type guarded struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (g *guarded) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.Write(p)
}

func (g *guarded) text() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.String()
}

func TestAnOutageIsTwoLines(t *testing.T) { synctest.Test(t, anOutageIsTwoLines) }

func anOutageIsTwoLines(t *testing.T) {
	var out guarded
	l := newServerLogger(slog.New(slog.NewTextHandler(&out, nil)))
	shard := log.With(l, tag.String("shard", "1"))
	for round := 1; round <= 2; round++ {
		for i := range 500 {
			err := fmt.Errorf("update shard: %w", serviceerror.NewUnavailable("dial tcp 127.0.0.1:5432: connect: connection refused"))
			shard.Error(fmt.Sprintf("Operation %d failed", i), tag.Error(err))
		}
		shard.Error("something else", tag.Error(io.ErrClosedPipe))
		for deadline := time.Now().Add(time.Minute); strings.Count(out.text(), "outage is over") < round; time.Sleep(time.Second) {
			if time.Now().After(deadline) {
				t.Fatalf("the end of the outage is not told:\n%s", out.text())
			}
		}
	}
	got := out.text()
	if n := strings.Count(got, "\n"); n != 6 {
		t.Errorf("%d lines, want three of each outage:\n%s", n, got)
	}
	for _, want := range []string{"Operation 0 failed", "connection refused", "something else", "lines=500"} {
		if strings.Count(got, want) != 2 {
			t.Errorf("the log does not tell %q twice:\n%s", want, got)
		}
	}
}
