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

// Who follows a log sees a line within a second. A line is sent soon after it came, and a program that writes on and on has
// a segment made about once a second.
const (
	firstFlush = 200 * time.Millisecond // after a first byte: more may be coming
	flushEvery = 700 * time.Millisecond // between two segments
	flushBytes = 256 << 10
	maxUnsent  = 4 << 20 // bytes; what is more waits on disk; where there is no room Write waits, and so does the program
)

// Sink is the object store as the writer needs it.
type Sink interface {
	Put(ctx context.Context, key string, r io.Reader, size int64) (control.Object, error)
	List(ctx context.Context, prefix, after string, yield func(control.Object) bool) error
	Delete(ctx context.Context, key string) error
}

// Writer stores what is written to it as segments of a job's log. Nothing is stored for an attempt that writes nothing.
// Uploads happen in the background and are repeated until they succeed or the writer's context ends. Small segments are put
// together as they come, so that a log has few however long its job runs.
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
	spool   spool // what comes behind unsent
	offset  int64 // of unsent[0] in the whole log
	total   int64 // bytes written by this attempt
	err     error // the upload gave up
	wake    chan struct{}
	closing bool
	done    chan struct{} // nil until the first byte
	tail    int64         // where in the whole log the tail begins; 0: no tail yet
	keep    int64         // bytes of it that are kept

	pieces pieces // of the uploading goroutine
}

// Target says whose log a Writer writes.
type Target struct {
	Account int64
	Job     job.ID
	Fence   int64
	// First tells that no earlier attempt of the job ever began, which saves looking for what they wrote.
	First bool
	// Spool keeps what the store does not take yet.
	Spool Spool
	// Stored, when set, is called after each segment that was stored.
	Stored func()
}

// NewWriter begins the log of an attempt. The context bounds all uploads; it should outlive a cancelled program.
func NewWriter(ctx context.Context, objects Sink, t Target) (*Writer, error) {
	w := &Writer{objects: objects, prefix: job.LogPrefix(t.Account, t.Job), fence: t.Fence, stored: t.Stored, spool: spool{Spool: t.Spool}}
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

// Write takes p over. What memory has no room for goes to the spool. It blocks while that has none either, and fails once the
// uploads have given up.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.over(p) && w.err == nil && !w.closing {
		if w.spool.takes(len(p)) && w.spool.put(p) == nil {
			w.total += int64(len(p))
			return len(p), nil
		}
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
	if len(w.unsent) == len(p) || len(w.unsent) >= flushBytes {
		w.poke()
	}
	return len(p), nil
}

// over tells whether memory has no room for p, or p must not overtake what is on disk. The caller holds the lock.
func (w *Writer) over(p []byte) bool {
	return !w.spool.empty() || len(w.unsent) > 0 && len(w.unsent)+len(p) > maxUnsent
}

// KeepTail makes what is written from now on a tail, of which the last n bytes are kept, in whole segments. Segments of it
// begin with lines. It may be called once.
func (w *Writer) KeepTail(n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tail, w.keep = w.start+w.total, n
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
	due := time.NewTimer(firstFlush)
	defer due.Stop()
	var last time.Time
	for armed := true; ; {
		select {
		case <-w.wake:
			if !w.urgent() {
				if !armed { // a first byte
					due.Reset(max(firstFlush, flushEvery-time.Since(last)))
					armed = true
				}
				continue
			}
		case <-due.C:
		case <-w.ctx.Done():
		}
		finished, more := w.flush()
		if finished {
			w.pieces.close(w)
			w.mu.Lock()
			w.spool.close()
			w.mu.Unlock()
			return
		}
		last = time.Now()
		if armed = more; more {
			due.Reset(flushEvery)
		} else {
			due.Stop()
		}
	}
}

// urgent tells whether a flush is due whatever the time.
func (w *Writer) urgent() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.unsent) >= flushBytes || w.closing || w.ctx.Err() != nil
}

// flush sends what there is as one segment. It tells whether that was the last, and if not, whether there is more to send.
func (w *Writer) flush() (finished, more bool) {
	w.mu.Lock()
	batch, offset, tail, keep := w.batch(), w.offset, w.tail, w.keep
	w.mu.Unlock()
	var err error
	if len(batch) > 0 {
		if err = w.send(batch, offset); err == nil {
			if w.stored != nil {
				w.stored()
			}
			w.pieces.keep = keep
			w.pieces.add(w, batch, offset, tail > 0 && offset >= tail)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		// What came in meanwhile moves into a buffer of its own: the batch's memory is given back.
		w.unsent = append([]byte(nil), w.unsent[len(batch):]...)
		w.offset += int64(len(batch))
		err = w.refill()
	}
	if err != nil {
		w.err = err
	}
	w.changed.Broadcast()
	if len(w.unsent) >= flushBytes || w.closing {
		w.poke()
	}
	return w.err != nil || w.closing && len(w.unsent) == 0 || w.ctx.Err() != nil, len(w.unsent) > 0
}

// refill takes from the spool what memory has room for again. The caller holds the lock.
func (w *Writer) refill() error {
	if w.spool.empty() || len(w.unsent) >= flushBytes {
		return nil
	}
	p, err := w.spool.take(maxUnsent - len(w.unsent))
	w.unsent = append(w.unsent, p...)
	return err
}

// batch is what the next segment is made of: all there is, but head and tail do not share one, and one of the tail ends
// with a line, so that the one behind it can be the first that is kept.
func (w *Writer) batch() []byte {
	batch := w.unsent
	if w.tail > w.offset {
		return batch[:min(int64(len(batch)), w.tail-w.offset)]
	}
	if w.tail > 0 && !w.closing {
		if end := bytes.LastIndexByte(batch, '\n') + 1; end > 0 || len(batch) < flushBytes {
			return batch[:end]
		}
	}
	return batch
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
