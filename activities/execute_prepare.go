package activities

import (
	"context"
	"errors"
	"io"
	"time"

	"go.temporal.io/sdk/temporal"
	"golang.org/x/sys/unix"

	"waybill/internal/job"
	"waybill/internal/runner"
	"waybill/internal/sandbox"
	"waybill/workflows/contract"
)

func (x *execution) fetch(ctx context.Context) (*runner.Lease, error) {
	spec := x.job.Spec
	return x.use(ctx, runner.Package{Name: spec.PackageName, SHA256: spec.PackageSHA256, Size: spec.PackageSize})
}

// inputs fetches the other files the job gets. The caller calls release.
func (x *execution) inputs(ctx context.Context) (inputs []runner.Input, release func(), err error) {
	release = func() {
		for _, in := range inputs {
			in.File.Release()
		}
	}
	for _, f := range x.job.Spec.Inputs {
		lease, err := x.use(ctx, runner.Package{Name: f.Name, SHA256: f.SHA256, Size: f.Size, Plain: true})
		if err != nil {
			release()
			return nil, nil, err
		}
		inputs = append(inputs, runner.Input{Name: f.Name, File: lease})
	}
	return inputs, release, nil
}

func (x *execution) use(ctx context.Context, p runner.Package) (lease *runner.Lease, err error) {
	err = x.a.repeatObjects(ctx, func() error {
		lease, err = x.a.cfg.Runner.Cache().Use(ctx, p, func(ctx context.Context) (io.ReadCloser, error) {
			return x.a.cfg.Objects.Get(ctx, job.BlobKey(x.in.AccountID, p.SHA256), 0, -1)
		})
		return err
	})
	return lease, err
}

// unprepared ends an attempt whose program was not started.
func (x *execution) unprepared(ctx context.Context, err error) (contract.JobResult, error) {
	if cause := context.Cause(x.watch.ctx); cause != nil {
		return x.stopped(ctx, cause, nil)
	}
	switch {
	case job.CodeOf(err) == job.NotFound:
		return x.refuse(ctx, job.ReasonInvalidPackage, "The package is no longer in the object store")
	case job.WordOf(err) == job.WordCorruptObject:
		return x.refuse(ctx, job.ReasonInvalidPackage, "The package is damaged in the object store")
	case job.CodeOf(err) == job.Invalid && (job.WordOf(err) == job.WordInvalidField || job.WordOf(err) == job.WordEnvironmentFailed):
		return x.refuse(ctx, job.ReasonError, messageOf(err))
	case job.CodeOf(err) == job.Invalid:
		return x.refuse(ctx, job.ReasonInvalidPackage, messageOf(err))
	}
	x.a.cfg.Log.WarnContext(ctx, "job not prepared", "job", x.in.JobID, "attempt", x.info.Attempt, "error", err)
	if x.job.Spec.OnLoss == job.Fail && errors.Is(err, sandbox.ErrRoom) { // it may have run
		return x.refuse(ctx, job.ReasonWorkerLost, "The program was lost with the room it ran in")
	}
	if isFull(err) {
		return x.noRoom(ctx)
	}
	if x.job.Spec.OnLoss == job.Fail {
		// Another attempt would take this one for lost. Its program did not run, so say what happened.
		return x.refuse(ctx, job.ReasonError, "The job could not be prepared: the package could not be fetched or unpacked")
	}
	return contract.JobResult{}, engineError(err)
}

// noRoom ends an attempt for which the worker's disk had no room. It is another worker's, or this one's when there is room.
func (x *execution) noRoom(ctx context.Context) (contract.JobResult, error) {
	message := "The disk of worker " + x.a.cfg.Worker + " is full"
	if x.job.Spec.OnLoss == job.Fail {
		return x.refuse(ctx, job.ReasonError, message+": the job could not be prepared, its program did not run")
	}
	x.note("%s; the job runs again", message)
	return contract.JobResult{}, temporal.NewApplicationErrorWithOptions(message, errDiskFull, temporal.ApplicationErrorOptions{NextRetryDelay: fullPause})
}

// fullPause is longer than a worker takes to notice that its disk is full, and to take no more jobs.
const fullPause = 5 * time.Second

const errDiskFull = "DiskFull"

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// refuse fails a job whose program can not be run at all. The log says why, as it does for jobs that ran.
func (x *execution) refuse(ctx context.Context, reason job.Reason, message string) (contract.JobResult, error) {
	x.note("%s", message)
	return x.finish(ctx, job.Outcome{Status: job.Failed, Reason: reason, Message: message})
}
