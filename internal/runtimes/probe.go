package runtimes

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// probes remembers what interpreters said about themselves: asking takes longer than many a job.
type probes struct {
	mu    sync.Mutex
	known map[string]probed
}

type probed struct {
	text []byte
	at   time.Time
}

// probeAge is how long an answer counts. A shim may lead to another version tomorrow without changing itself.
const probeAge = 5 * time.Minute

// probe asks an interpreter. Answers are kept by its file, as it is now, and by the question.
func (t *Table) probe(ctx context.Context, w Wish, s Step) ([]byte, error) {
	info, err := os.Stat(s.Path)
	if err != nil {
		return nil, err
	}
	key := fmt.Sprintf("%s %d %d %s", s.Path, info.Size(), info.ModTime().UnixNano(), strings.Join(s.Argv, " "))
	t.probes.mu.Lock()
	p, ok := t.probes.known[key]
	t.probes.mu.Unlock()
	if ok && time.Since(p.at) < probeAge {
		return p.text, nil
	}
	var out bytes.Buffer
	if err := w.Run(ctx, s, &out); err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(out.String()))
	}
	t.probes.mu.Lock()
	defer t.probes.mu.Unlock()
	if t.probes.known == nil || len(t.probes.known) >= 100 {
		t.probes.known = map[string]probed{}
	}
	t.probes.known[key] = probed{out.Bytes(), time.Now()}
	return out.Bytes(), nil
}
