package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"waybill/internal/job"
	"waybill/internal/sandbox"
)

var errLogStuck = errors.New("the log could not be written in time")

// Result is how a program ended.
type Result struct {
	sandbox.Ending
	Duration time.Duration // wall time
}

// Message says in one line how the program ended.
func (r Result) Message() string {
	if r.Limit != "" {
		return "The program was ended: " + r.LimitText
	}
	if r.Signal != "" {
		return "The program was ended by signal " + r.Signal
	}
	return fmt.Sprintf("The program ended with exit code %d", r.ExitCode)
}

// Run starts the program and waits until it and everything it started is gone. When ctx ends, the process group gets
// SIGTERM and, after Grace, SIGKILL. Whatever is left when the program itself has ended is killed: a job leaves no
// process behind. The error is a program that could not be started (job.Invalid where the package is at fault) or a log
// that could not be written.
func (e *Execution) Run(ctx context.Context) (Result, error) {
	began := time.Now()
	p, out, err := e.open()
	if err != nil {
		return Result{}, startError(err, e.command.Path)
	}
	defer out.close()
	logged := make(chan error, 1)
	go func() { logged <- e.capture(out) }()

	ending, err := p.Wait(ctx, e.req.Grace)
	if err != nil {
		return Result{}, err
	}
	result := Result{Ending: ending, Duration: time.Since(began)}
	// All writers of the pipe are dead, so it ends by itself; a process in an uninterruptible sleep might still hold it.
	out.endBy(time.Now().Add(sandbox.DrainTime))
	late := time.NewTimer(e.runner.cfg.LogTime)
	defer late.Stop()
	select {
	case err = <-logged:
		return result, err
	case <-late.C: // the log takes nothing; capture ends when its owner closes it
		return result, errLogStuck
	}
}

// outputs are the ends of pipes that a program's output is read from: one of all it writes or, where standard output is kept, one of
// each kind.
type outputs struct {
	all    *os.File // standard output and standard error, or the latter
	answer *os.File // standard output; nil: in all
}

func (o outputs) close() {
	_ = o.all.Close()
	if o.answer != nil {
		_ = o.answer.Close()
	}
}

func (o outputs) endBy(at time.Time) {
	_ = o.all.SetReadDeadline(at)
	if o.answer != nil {
		_ = o.answer.SetReadDeadline(at)
	}
}

// open starts the program.
func (e *Execution) open() (*sandbox.Process, outputs, error) {
	var (
		out                 outputs
		toAll, toAnswer, to *os.File
		err                 error
	)
	if out.all, toAll, err = os.Pipe(); err != nil {
		return nil, out, err
	}
	defer toAll.Close()
	to = toAll
	if e.req.Job.Spec.Answer {
		if out.answer, toAnswer, err = os.Pipe(); err != nil {
			_ = out.all.Close()
			return nil, out, err
		}
		defer toAnswer.Close()
		to = toAnswer
	}
	p, err := e.start(to, toAll)
	if err != nil {
		out.close()
	}
	return p, out, err
}

func (e *Execution) start(output, errors *os.File) (*sandbox.Process, error) {
	c, present := e.command, int64(0)
	if !e.runner.sandbox.Enforced() {
		present = e.req.Package.entry.about.Size // its folder holds a copy of the package then
	}
	return e.runner.sandbox.Start(sandbox.Program{
		Path: c.Path, Argv: c.Argv, Dir: c.dir, Env: traced(c.env, e.trace), Output: output, Errors: errors,
		Read: append([]string{e.req.Package.Dir, c.tree, e.helpers}, c.Read...), Write: []string{e.dir}, Temp: filepath.Join(e.dir, "tmp"),
		NoNetwork: e.resources.Network == job.NetworkNone, Limits: e.limits, Present: present,
	})
}

var captureBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// capture copies the program's output into the log. When the log fails, the output is still read, so that the program is
// not stuck in a write; the failure is told at the end.
func (e *Execution) capture(o outputs) error {
	var failed error
	copied := make(chan struct{})
	if o.answer == nil {
		close(copied)
	} else {
		go func() {
			defer close(copied)
			e.copy(o.answer, e.keep, &failed)
		}()
	}
	e.copy(o.all, nil, &failed)
	<-copied
	if failed == nil {
		failed = errors.Join(e.masker.Flush(), e.lines.End())
	}
	return failed
}

// copy copies until the end. failed is guarded by e.logging.
func (e *Execution) copy(r io.Reader, keep func([]byte), failed *error) {
	b := captureBuffers.Get().(*[]byte)
	defer captureBuffers.Put(b)
	for {
		n, err := r.Read(*b)
		if n > 0 {
			e.logging.Lock()
			if *failed == nil {
				_, *failed = e.masker.Write((*b)[:n])
			}
			e.logging.Unlock()
			if keep != nil {
				keep((*b)[:n])
			}
		}
		if err != nil {
			return
		}
	}
}

// maxAnswer is how much of standard output is kept, in bytes.
const maxAnswer = job.MaxMessageBody

func (e *Execution) keep(p []byte) {
	e.keeping.Lock()
	defer e.keeping.Unlock()
	e.answer.Write(p[:min(len(p), maxAnswer+1-e.answer.Len())])
}

// Answer is the standard output of a program that has ended, if the job keeps it, without its last line break and with secrets hidden.
// whole is false where it is longer than can be kept.
func (e *Execution) Answer() (text string, whole bool) {
	e.keeping.Lock()
	text = e.answer.String()
	e.keeping.Unlock()
	whole = len(text) <= maxAnswer
	// What is not UTF-8 is marked, as in logs: left out without a word it would change what the program said.
	text = strings.ToValidUTF8(cutText(text, maxAnswer), "\uFFFD")
	whole = whole && len(text) <= maxAnswer
	text = cutText(text, maxAnswer)
	text = strings.TrimSuffix(strings.TrimSuffix(strings.ReplaceAll(text, "\x00", ""), "\n"), "\r")
	return e.Mask(text), whole
}

// cutText is the beginning of a text: at most so many bytes, and no part of a character at its end.
func cutText(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for i := range utf8.UTFMax {
		if utf8.RuneStart(text[most-i]) {
			return text[:most-i]
		}
	}
	return text[:most] // not UTF-8
}

// startError tells the package's fault from the worker's.
func startError(err error, path string) error {
	switch {
	case errors.Is(err, syscall.E2BIG):
		return job.Wrap(err, job.Invalid, job.WordInvalidField, "The macros are too large to start a program with")
	case errors.Is(err, syscall.ENOEXEC), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.ENOENT):
		return job.Wrap(err, job.Invalid, job.WordInvalidPackage, "The program '%s' can not be started on this worker", path)
	default:
		return fmt.Errorf("start the program: %w", err)
	}
}
