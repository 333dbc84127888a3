package activities

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sort"
	"strings"
	"sync"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// jobStore is one job's row, kept as the real store keeps it.
type jobStore struct {
	sandbox  string // as Started told it
	mu       sync.Mutex
	job      job.Job
	open     bool // an attempt has begun and not ended
	history  []string
	again    time.Time
	outputs  []job.Output
	fail     map[string]int // how often a method answers Unavailable
	failLate map[string]int // the same, but after it did its work
	settled  job.Outcome
	rolledUp job.ID
	reports  []job.Report
	records  []job.RetryRecord

	onStarted func() // called with the lock held
}

func (s *jobStore) do(method string, fence int64, from []job.Status, f func()) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail[method] > 0 {
		s.fail[method]--
		return job.Errorf(job.Unavailable, job.WordDependencyDown, "database is away")
	}
	ok := s.job.Fence == fence
	if method == "Begin" {
		ok = s.job.Fence < fence
	}
	fits := false
	for _, status := range from {
		fits = fits || status == s.job.Status
	}
	if !ok || !fits {
		return job.Errorf(job.Conflict, job.WordStale, "job has moved on")
	}
	f()
	s.history = append(s.history, method)
	if s.failLate[method] > 0 {
		s.failLate[method]--
		return job.Errorf(job.Unavailable, job.WordDependencyDown, "answer was lost")
	}
	return nil
}

func (s *jobStore) get() job.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.job
}

func (s *jobStore) Begin(_ context.Context, _ int64, _ job.ID, fence int64, worker string, _ time.Time) (j job.Job, lost bool, err error) {
	err = s.do("Begin", fence, []job.Status{job.Queued, job.Running}, func() {
		lost, s.open = s.open, true
		s.job.Status, s.job.Reason, s.job.Fence, s.job.Worker = job.Running, job.ReasonInitializing, fence, worker
		s.job.Attempt++
	})
	return s.get(), lost, err
}

func (s *jobStore) Started(_ context.Context, _ int64, _ job.ID, fence int64, sandbox string, _ time.Time) error {
	return s.do("Started", fence, []job.Status{job.Running, job.Cancelling}, func() {
		s.sandbox = sandbox
		s.job.Reason = job.ReasonNone
		if s.onStarted != nil {
			s.onStarted()
		}
	})
}

func (s *jobStore) Report(_ context.Context, _ int64, _ job.ID, fence int64, r job.Report) error {
	return s.do("Report", fence, []job.Status{job.Running, job.Cancelling}, func() { s.reports = append(s.reports, r) })
}

func (s *jobStore) RetryRecords(_ context.Context, _ int64, _ job.ID, after string, limit int) ([]job.RetryRecord, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail["RetryRecords"] > 0 {
		s.fail["RetryRecords"]--
		return nil, job.Errorf(job.Unavailable, job.WordDependencyDown, "database is away")
	}
	var page []job.RetryRecord
	for _, r := range s.records {
		if r.RecordID > after && len(page) < limit {
			page = append(page, r)
		}
	}
	return page, nil
}

func (s *jobStore) Cancelling(_ context.Context, _ int64, _ job.ID, fence int64, reason job.Reason) error {
	return s.do("Cancelling", fence, []job.Status{job.Running, job.Cancelling}, func() {
		if s.job.Status == job.Running {
			s.job.Status, s.job.Reason = job.Cancelling, reason
		}
	})
}

func (s *jobStore) Again(_ context.Context, _ int64, _ job.ID, fence int64, o job.Outcome, startAfter time.Time) error {
	return s.do("Again", fence, job.Sources(job.Queued), func() {
		s.job.Status, s.job.Reason, s.job.ReturnCode, s.job.Message = job.Queued, job.ReasonNone, o.ReturnCode, o.Message
		s.job.Failures++
		s.again, s.open = startAfter, false
	})
}

func (s *jobStore) Finish(_ context.Context, _ int64, _ job.ID, fence int64, o job.Outcome) (job.Job, error) {
	err := s.do("Finish", fence, job.Sources(o.Status), func() {
		s.job.Status, s.job.Reason, s.job.ReturnCode, s.job.Message, s.job.FinishedAt = o.Status, o.Reason, o.ReturnCode, o.Message, o.At
		s.outputs, s.open = o.Outputs, false
	})
	return s.get(), err
}

func (s *jobStore) Settle(_ context.Context, _ int64, id job.ID, fence int64, o job.Outcome) (job.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != s.job.ID {
		return job.Job{}, job.Errorf(job.NotFound, job.WordNotFound, "Job %s not found", id)
	}
	s.settled, s.job.Fence = o, fence
	s.job.Status, s.job.Reason, s.job.Message = o.Status, o.Reason, o.Message
	return s.job, nil
}

func (s *jobStore) RollUp(_ context.Context, _ int64, child job.ID, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail["RollUp"] > 0 {
		return fmt.Errorf("driver: connection to db-host lost")
	}
	s.rolledUp = child
	return nil
}

// objects is an object store in memory.
type objects struct {
	mu   sync.Mutex
	all  map[string][]byte
	fail map[string]int // by the beginning of a key: how many accesses fail
}

func (o *objects) away(key string) error {
	for prefix, n := range o.fail {
		if n > 0 && strings.Contains(key, prefix) {
			o.fail[prefix]--
			return job.Errorf(job.Unavailable, job.WordDependencyDown, "object store is away")
		}
	}
	return nil
}

func (o *objects) Put(_ context.Context, key string, r io.Reader, size int64) (control.Object, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return control.Object{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.away(key); err != nil {
		return control.Object{}, err
	}
	o.all[key] = b
	return control.Object{Key: key, Size: size}, nil
}

func (o *objects) Delete(_ context.Context, key string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.all, key)
	return nil
}

func (o *objects) Get(_ context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.away(key); err != nil {
		return nil, err
	}
	b, found := o.all[key]
	if !found {
		return nil, job.Errorf(job.NotFound, job.WordNotFound, "no object %s", key)
	}
	if length < 0 {
		length = int64(len(b)) - offset
	}
	return io.NopCloser(bytes.NewReader(b[offset : offset+length])), nil
}

func (o *objects) List(_ context.Context, prefix, after string, yield func(control.Object) bool) error {
	o.mu.Lock()
	var list []control.Object
	for key, b := range o.all {
		if strings.HasPrefix(key, prefix) && key > after {
			list = append(list, control.Object{Key: key, Size: int64(len(b))})
		}
	}
	o.mu.Unlock()
	sort.Slice(list, func(i, k int) bool { return list[i].Key < list[k].Key })
	for _, item := range list {
		if !yield(item) {
			break
		}
	}
	return nil
}

// engine is the Temporal client of a test.
type engine struct {
	mu      sync.Mutex
	signals []any
	beats   int
	answer  error
}

func (e *engine) SignalWorkflow(_ context.Context, _, _, signal string, arg any) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.signals = append(e.signals, fmt.Sprint(signal, " ", arg))
	return nil
}

func (e *engine) RecordActivityHeartbeat(context.Context, []byte, ...any) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.beats++
	return e.answer
}

func (e *engine) set(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = err
}

func (e *engine) counts() (signals, beats int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.signals), e.beats
}

type secrets struct{}

func (secrets) Open(sealed string) (string, error) {
	if text, ok := strings.CutPrefix(sealed, "sealed:"); ok {
		return text, nil
	}
	return "", fmt.Errorf("wrong key")
}

type bell struct {
	mu    sync.Mutex
	rings int
}

func (b *bell) Ring(job.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rings++
}

type gone struct {
	mu      sync.Mutex
	checked []job.ID
}

func (g *gone) Check(_ context.Context, _ int64, id job.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.checked = append(g.checked, id)
}
