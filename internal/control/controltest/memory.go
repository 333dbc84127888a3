package controltest

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/workflows/contract"
)

// Objects is an object store in memory.
type Objects struct {
	mu    sync.Mutex
	bytes map[string][]byte
	sizes map[string]int64
	times map[string]time.Time
	// Now stamps what is put; nil: time.Now.
	Now func() time.Time
	// Forget keeps sizes only: for uploads larger than a test should hold.
	Forget bool
	// Fail, when set, is what every call answers.
	Fail error
}

// NewObjects makes an empty store.
func NewObjects() *Objects {
	return &Objects{bytes: map[string][]byte{}, sizes: map[string]int64{}, times: map[string]time.Time{}, Now: time.Now}
}

// Put is control.Objects's.
func (o *Objects) Put(_ context.Context, key string, r io.Reader, _ int64) (control.Object, error) {
	var (
		text []byte
		size int64
		err  error
	)
	if o.Forget {
		size, err = io.Copy(io.Discard, r)
	} else {
		text, err = io.ReadAll(r)
		size = int64(len(text))
	}
	if err != nil {
		return control.Object{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.Fail != nil {
		return control.Object{}, o.Fail
	}
	o.bytes[key], o.sizes[key], o.times[key] = text, size, o.Now()
	return control.Object{Key: key, Size: size}, nil
}

// Get is control.Objects's.
func (o *Objects) Get(_ context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	text, ok := o.bytes[key]
	switch {
	case o.Fail != nil:
		return nil, o.Fail
	case !ok:
		return nil, job.Errorf(job.NotFound, job.WordNotFound, "Object %s not found", key)
	}
	text = text[min(offset, int64(len(text))):]
	if length >= 0 {
		text = text[:min(length, int64(len(text)))]
	}
	return io.NopCloser(bytes.NewReader(text)), nil
}

// List is control.Objects's.
func (o *Objects) List(_ context.Context, prefix, after string, yield func(control.Object) bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var keys []string
	for key := range o.sizes {
		if strings.HasPrefix(key, prefix) && key > after {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		if !yield(control.Object{Key: key, Size: o.sizes[key], Modified: o.times[key]}) {
			break
		}
	}
	return o.Fail
}

// Stat is control.Objects's.
func (o *Objects) Stat(_ context.Context, key string) (control.Object, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	size, ok := o.sizes[key]
	switch {
	case o.Fail != nil:
		return control.Object{}, o.Fail
	case !ok:
		return control.Object{}, job.Errorf(job.NotFound, job.WordNotFound, "Object %s not found", key)
	}
	return control.Object{Key: key, Size: size}, nil
}

// Delete is control.Objects's.
func (o *Objects) Delete(_ context.Context, key string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.bytes, key)
	delete(o.sizes, key)
	return o.Fail
}

// SetFail sets Fail while others use the store.
func (o *Objects) SetFail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.Fail = err
}

// Len is the number of objects.
func (o *Objects) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.sizes)
}

// Logs is the logs of jobs in memory.
type Logs struct {
	mu    sync.Mutex
	parts map[job.ID][]logPart
}

// logPart is what one attempt wrote.
type logPart struct {
	fence int64
	text  string
}

// NewLogs makes an empty set of logs.
func NewLogs() *Logs { return &Logs{parts: map[job.ID][]logPart{}} }

// Append adds to a job's log, in the part written last.
func (l *Logs) Append(id job.ID, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	parts := l.parts[id]
	if len(parts) == 0 {
		l.parts[id] = []logPart{{text: text}}
		return
	}
	parts[len(parts)-1].text += text
}

// Begin begins the part of an attempt.
func (l *Logs) Begin(id job.ID, fence int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parts[id] = append(l.parts[id], logPart{fence: fence})
}

// text is what the log has, of one attempt or of all.
func (l *Logs) text(id job.ID, of func(fence int64) bool) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all strings.Builder
	for _, p := range l.parts[id] {
		if of(p.fence) {
			all.WriteString(p.text)
		}
	}
	return all.String()
}

func every(int64) bool { return true }

func only(fence int64) func(int64) bool { return func(f int64) bool { return f == fence } }

// View is control.Logs's.
func (l *Logs) View(_ context.Context, _ int64, id job.ID, fence int64) (control.LogView, error) {
	of := every
	if fence != 0 {
		of = only(fence)
	}
	text := l.text(id, of)
	return control.LogView{
		Size: int64(len(text)), Place: func(offset int64) int64 { return offset },
		Open: func(_ context.Context, offset, length int64) (io.ReadCloser, error) {
			return piece(text, offset, length), nil
		},
	}, nil
}

// Behind is control.Logs's.
func (l *Logs) Behind(_ context.Context, _ int64, id job.ID, place int64) ([]control.LogStretch, error) {
	text := l.text(id, every)
	end := int64(len(text))
	if place >= end {
		return nil, nil
	}
	return []control.LogStretch{{From: place, To: end, Open: func(context.Context) (io.ReadCloser, error) {
		return piece(text, place, end-place), nil
	}}}, nil
}

// Sections is control.Logs's.
func (l *Logs) Sections(_ context.Context, _ int64, id job.ID) (map[int64]int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sizes := map[int64]int64{}
	for _, p := range l.parts[id] {
		sizes[p.fence] += int64(len(p.text))
	}
	return sizes, nil
}

func piece(text string, offset, length int64) io.ReadCloser {
	text = text[min(offset, int64(len(text))):]
	if length >= 0 {
		text = text[:min(length, int64(len(text)))]
	}
	return io.NopCloser(strings.NewReader(text))
}

// Engine is a control.Starter that remembers what it was asked.
type Engine struct {
	mu      sync.Mutex
	down    bool
	started []job.ID
	stopped []job.ID
	lanes   []string
}

// SetDown makes the engine unreachable, or reachable again.
func (e *Engine) SetDown(down bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.down = down
}

// Started lists the jobs whose workflow was started.
func (e *Engine) Started() []job.ID {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.started)
}

func (e *Engine) note(to *[]job.ID, id job.ID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.down {
		return job.Errorf(job.Unavailable, job.WordDependencyDown, "The engine can not be reached")
	}
	*to = append(*to, id)
	return nil
}

// StartJob is control.Starter's. A job that was started already is not started again.
func (e *Engine) StartJob(_ context.Context, in contract.JobInput) error {
	if err := e.note(new([]job.ID), in.JobID); err != nil {
		return err
	}
	if slices.Contains(e.Started(), in.JobID) {
		return nil
	}
	return e.note(&e.started, in.JobID)
}

// CancelJob is control.Starter's.
func (e *Engine) CancelJob(_ context.Context, id job.ID) error { return e.note(&e.stopped, id) }

// JobState is control.Starter's.
func (e *Engine) JobState(_ context.Context, id job.ID, _ bool) (control.EngineState, error) {
	if slices.Contains(e.Started(), id) {
		return control.EngineOpen, nil
	}
	return control.EngineAbsent, nil
}

// Terminated is control.Starter's.
func (e *Engine) Terminated(context.Context, time.Time) ([]job.ID, error) { return nil, nil }

// Ping is control.Starter's.
func (e *Engine) Ping(context.Context) error { return e.note(new([]job.ID), "") }

// EnsureLane is control.LaneEngine's.
func (e *Engine) EnsureLane(_ context.Context, l job.LaneRef) error {
	return e.noteLane("ensure " + l.Lane)
}

// PokeLane is control.LaneEngine's.
func (e *Engine) PokeLane(_ context.Context, l job.LaneRef) error {
	return e.noteLane("poke " + l.Lane)
}

func (e *Engine) noteLane(what string) error {
	if err := e.note(new([]job.ID), ""); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lanes = append(e.lanes, what)
	return nil
}

// Lanes lists what lanes were asked: "ensure" or "poke" and the lane.
func (e *Engine) Lanes() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.lanes)
}

// Stopped lists the jobs whose workflow was asked to cancel.
func (e *Engine) Stopped() []job.ID {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.stopped)
}
