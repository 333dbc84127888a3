package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

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
	r, w, err := os.Pipe()
	if err != nil {
		return Result{}, err
	}
	defer r.Close()
	began := time.Now()
	p, err := e.start(w)
	_ = w.Close()
	if err != nil {
		return Result{}, startError(err, e.command.Path)
	}
	logged := make(chan error, 1)
	go func() { logged <- e.capture(r) }()

	ending, err := p.Wait(ctx, e.req.Grace)
	if err != nil {
		return Result{}, err
	}
	result := Result{Ending: ending, Duration: time.Since(began)}
	// All writers of the pipe are dead, so it ends by itself; a process in an uninterruptible sleep might still hold it.
	_ = r.SetReadDeadline(time.Now().Add(sandbox.DrainTime))
	late := time.NewTimer(e.runner.cfg.LogTime)
	defer late.Stop()
	select {
	case err = <-logged:
		return result, err
	case <-late.C: // the log takes nothing; capture ends when its owner closes it
		return result, errLogStuck
	}
}

func (e *Execution) start(output *os.File) (*sandbox.Process, error) {
	c, present := e.command, int64(0)
	if !e.runner.sandbox.Enforced() {
		present = e.req.Package.entry.about.Size // its folder holds a copy of the package then
	}
	return e.runner.sandbox.Start(sandbox.Program{
		Path: c.Path, Argv: c.Argv, Dir: c.dir, Env: traced(c.env, e.trace), Output: output,
		Read: append([]string{e.req.Package.Dir, c.tree, e.helpers}, c.Read...), Write: []string{e.dir}, Temp: filepath.Join(e.dir, "tmp"),
		NoNetwork: e.resources.Network == job.NetworkNone, Limits: e.limits, Present: present,
	})
}

var captureBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// capture copies the program's output into the log. When the log fails, the output is still read, so that the program is
// not stuck in a write; the failure is told at the end.
func (e *Execution) capture(r io.Reader) error {
	b := captureBuffers.Get().(*[]byte)
	defer captureBuffers.Put(b)
	var failed error
	for {
		n, err := r.Read(*b)
		if n > 0 && failed == nil {
			_, failed = e.masker.Write((*b)[:n])
		}
		if err != nil {
			break
		}
	}
	if failed == nil {
		failed = errors.Join(e.masker.Flush(), e.lines.End())
	}
	return failed
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
