package starter

import (
	"context"
	"errors"

	"go.temporal.io/api/serviceerror"
	"google.golang.org/grpc/codes"

	"waybill/internal/job"
)

// translate turns an error of a Temporal call into ours; what says what the call was to do. It is the only place that
// knows Temporal's error types.
//
// Everything that may be over when the call is repeated is Unavailable, the engine's own faults included: the caller can
// do nothing but come back. A namespace that is not there belongs to these, for an engine that is being set up answers
// so. What is left is a call we made wrongly: Internal.
func translate(ctx context.Context, err error, what string) error {
	if err == nil {
		return nil
	}
	var absent *serviceerror.NotFound
	if errors.As(err, &absent) {
		return job.Wrap(err, job.NotFound, job.WordNotFound, "could not %s: no such workflow", what)
	}
	switch serviceerror.ToStatus(err).Code() {
	case codes.InvalidArgument, codes.Unimplemented, codes.OutOfRange:
		return job.Wrap(err, job.Internal, job.WordInternal, "could not %s", what)
	case codes.Canceled:
		if errors.Is(ctx.Err(), context.Canceled) {
			return job.Wrap(err, job.Canceled, "", "could not %s: the caller gave up", what)
		}
	}
	return job.Wrap(err, job.Unavailable, job.WordDependencyDown, "could not %s: the workflow engine does not answer", what)
}
