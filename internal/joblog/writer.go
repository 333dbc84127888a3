package joblog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"waybill/internal/control"
	"waybill/internal/job"
)

const (
	firstFlush   = 200 * time.Millisecond // after the first byte: somebody may be waiting for a sign of life
	flushEvery   = time.Second
	slowestFlush = 5 * time.Second
	slowerAfter  = 600 // segments; the pause grows with them, so that a long job does not leave a million
	flushBytes   = 256 << 10
	maxUnsent    = 4 << 20 // bytes; beyond it Write waits, and so does the program
)

// Sink is the object store as the writer needs it.
type Sink interface {
	Put(ctx context.Context, key string, r io.Reader, size int64) (control.Object, error)
	List(ctx context.Context, prefix, after string, yield func(control.Object) bool) error
}

// Writer stores what is written to it as segments of a job's log. Nothing is stored for an attempt that writes nothing.
// Uploads happen in the background and are repeated until they succeed or the writer's context ends.
type Writer struct {
	ctx     context.Context
	stop    context.CancelFunc
	objects Sink
	prefix  string
	fence   int64
	start   int64 // of this attempt in the whole log
	stored  func()

	mu      sync.Mutex
	changed *sync.Cond // signals room and the end
	unsent  []byte
	offset  int64 // of unsent[0] in the whole log
	total   int64 // bytes written by this attempt
	err     error // the upload gave up
	wake    chan struct{}
	closing bool
	done    chan struct{} // nil until the first byte
}

// Target says whose log a Writer writes.
type Target struct {
	Account int64
	Job     job.ID
	Fence   int64
	// First tells that no earlier attempt of the job ever began, which saves looking for what they wrote.
	First bool
	// Stored, when set, is called after each segment that was stored.
	Stored func()
}

// NewWriter begins the log of an attempt. The context bounds all uploads; it should outlive a cancelled program.
func NewWriter(ctx context.Context, objects Sink, t Target) (*Writer, error) {
	w := &Writer{objects: objects, prefix: job.LogPrefix(t.Account, t.Job), fence: t.Fence, stored: t.Stored}
	w.wake = make(chan struct{}, 1)
	w.changed = sync.NewCond(&w.mu)
	w.ctx, w.stop = context.WithCancel(ctx)
	if t.First {
		return w, nil
	}
	log, err := list(ctx, objects, w.prefix)
	if err != nil {
		w.stop()
		return nil, err
	}
	w.start = end(log)
	w.offset = w.start
	if w.start > 0 {
		if _, err := objects.Put(ctx, segmentName(w.prefix, w.fence, w.start), bytes.NewReader(nil), 0); err != nil {
			w.stop()
			return nil, err
		}
	}
	return w, nil
}

// Write takes p over. It blocks while too much is unsent, and fails once the uploads have given up.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.unsent) > 0 && len(w.unsent)+len(p) > maxUnsent && w.err == nil && !w.closing {
		w.changed.Wait()
	}
	switch {
	case w.err != nil:
		return 0, w.err
	case w.closing:
		return 0, io.ErrClosedPipe
	case len(p) == 0:
		return 0, nil
	}
	if w.done == nil {
		w.done = make(chan struct{})
		go w.upload()
	}
	w.unsent = append(w.unsent, p...)
	w.total += int64(len(p))
	if len(w.unsent) >= flushBytes {
		w.poke()
	}
	return len(p), nil
}

// Bytes counts what this attempt has written so far.
func (w *Writer) Bytes() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.total
}

// Close stores what is left and ends the writer. When ctx ends first, what is left is lost and its error returned.
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	w.closing = true
	done := w.done
	w.changed.Broadcast()
	w.mu.Unlock()
	w.poke()
	defer w.stop()
	if done == nil {
		return nil
	}
	select {
	case <-done:
	case <-ctx.Done():
		w.stop()
		<-done
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil && ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), w.err)
	}
	return w.err
}

func (w *Writer) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// upload is the background: it waits until a flush is due, and sends.
func (w *Writer) upload() {
	defer close(w.done)
	pause := time.NewTimer(firstFlush)
	defer pause.Stop()
	for segments := 1; ; segments++ {
		select {
		case <-w.wake:
		case <-pause.C:
		case <-w.ctx.Done():
		}
		if finished := w.flush(); finished {
			return
		}
		pause.Reset(min(slowestFlush, max(flushEvery, flushEvery*time.Duration(segments)/slowerAfter)))
	}
}

// flush sends what there is as one segment and tells whether it was the last.
func (w *Writer) flush() (finished bool) {
	w.mu.Lock()
	batch, offset := w.unsent, w.offset
	w.mu.Unlock()
	var err error
	if len(batch) > 0 {
		if err = w.send(batch, offset); err == nil && w.stored != nil {
			w.stored()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		// What came in meanwhile moves into a buffer of its own: the batch's memory is given back.
		w.unsent = append([]byte(nil), w.unsent[len(batch):]...)
		w.offset += int64(len(batch))
	} else {
		w.err = err
	}
	w.changed.Broadcast()
	if len(w.unsent) >= flushBytes || w.closing {
		w.poke()
	}
	return w.err != nil || w.closing && len(w.unsent) == 0 || w.ctx.Err() != nil
}

// send repeats until the store takes the segment or the context ends. Repeating is safe: name and bytes stay the same.
func (w *Writer) send(batch []byte, offset int64) error {
	name := segmentName(w.prefix, w.fence, offset)
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval = 100 * time.Millisecond
	pauses.MaxInterval = 5 * time.Second
	_, err := backoff.Retry(w.ctx, func() (struct{}, error) {
		_, err := w.objects.Put(w.ctx, name, bytes.NewReader(batch), int64(len(batch)))
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0))
	return err
}
