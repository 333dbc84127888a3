package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.temporal.io/sdk/temporal"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// engineError is the edge from the domain to Temporal: what is invalid, not found or in conflict stays so and is not
// retried; everything else is. The type is the error's code. Causes stay out of the history: they may hold anything.
func engineError(err error) error {
	if err == nil {
		return nil
	}
	var known *job.Error
	if !errors.As(err, &known) {
		return temporal.NewApplicationError("Internal error of the worker", string(job.Internal))
	}
	switch known.Code {
	case job.Invalid, job.NotFound, job.Conflict:
		return temporal.NewNonRetryableApplicationError(known.Message, string(known.Code), nil)
	default:
		return temporal.NewApplicationError(known.Message, string(known.Code))
	}
}

// fencedError tells the workflow that this attempt has no say any more.
func fencedError(id job.ID) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf("Job %s is no longer this attempt's", id), contract.ErrFenced, nil)
}

// attemptFailed makes Temporal try again after the pause. It is an everyday event, so the SDK need not log it as an error.
func attemptFailed(message string, pause time.Duration) error {
	return temporal.NewApplicationErrorWithOptions(message, contract.ErrAttemptFailed, temporal.ApplicationErrorOptions{
		NextRetryDelay: max(pause, time.Millisecond), Category: temporal.ApplicationErrorCategoryBenign,
	})
}

// interrupted makes Temporal run the job again, soon.
func interrupted(message string) error {
	return temporal.NewApplicationErrorWithOptions(message, errInterruptedType, temporal.ApplicationErrorOptions{
		NextRetryDelay: 100 * time.Millisecond, Category: temporal.ApplicationErrorCategoryBenign,
	})
}

const errInterruptedType = "Interrupted"

// tryTimeout bounds one try of a write, so that a connection that hangs does not use up all patience.
const tryTimeout = 15 * time.Second

// persist repeats a write while the technology behind it is away. It goes on when ctx is cancelled, because a cancelled
// job must be written too, and gives up after Config.Patience. tries counts from 1: a write that is repeated may find
// that it had succeeded before, when only the answer was lost.
func (a *Activities) persist(ctx context.Context, write func(ctx context.Context, try int) error) error {
	ctx = context.WithoutCancel(ctx)
	try := 0
	return a.repeat(ctx, func() error {
		try++
		ctx, done := context.WithTimeout(ctx, tryTimeout)
		defer done()
		return write(ctx, try)
	})
}

// repeat calls f until it succeeds, fails for good, ctx ends or patience does.
func (a *Activities) repeat(ctx context.Context, f func() error) error {
	return repeatFor(ctx, a.cfg.Patience, f)
}

// repeatObjects is repeat for the object store. What was changed on the way may come through unchanged the next time; what
// stays changed lies so in the store.
func (a *Activities) repeatObjects(ctx context.Context, f func() error) error {
	corrupt := 0
	return repeatFor(ctx, a.cfg.ObjectPatience, func() error {
		err := f()
		if isFull(err) { // of this machine: another one may have room
			return backoff.Permanent(err)
		}
		if job.WordOf(err) == job.WordCorruptObject {
			if corrupt++; corrupt >= corruptTries {
				err = backoff.Permanent(err)
			}
		}
		return err
	})
}

// corruptTries is how often an object is read that is not what was stored.
const corruptTries = 3

func repeatFor(ctx context.Context, patience time.Duration, f func() error) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval = 50 * time.Millisecond
	pauses.MaxInterval = 5 * time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := f()
		var final *backoff.PermanentError
		if err != nil && !errors.As(err, &final) && !mayPass(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(patience))
	return err
}

// mayPass tells whether another try can help. An error that is not ours comes from a disk or a network.
func mayPass(err error) bool {
	switch job.CodeOf(err) {
	case job.Unavailable, job.RateLimited, job.Canceled, job.Internal:
		return true
	default:
		return false
	}
}

// messageOf is what of an error may be shown.
func messageOf(err error) string {
	var known *job.Error
	if errors.As(err, &known) {
		return known.Message
	}
	return "Internal error of the worker"
}

func isStale(err error) bool { return job.CodeOf(err) == job.Conflict }
