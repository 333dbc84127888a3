package activities

import (
	"context"
	"log/slog"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"waybill/internal/job"
	"waybill/internal/logs"
	"waybill/internal/runner"
	"waybill/internal/tracing"
)

// known makes the lines of the log that are written with the context tell the job, and the activity's span tell whose it is.
func (x *execution) known(ctx context.Context) context.Context {
	trace.SpanFromContext(ctx).SetAttributes(
		attribute.String(tracing.Job, string(x.in.JobID)), attribute.Int64(tracing.Account, x.in.AccountID),
		attribute.Int(tracing.Attempt, int(x.info.Attempt)), attribute.String(tracing.Fence, strconv.FormatInt(x.fence, 10)),
	)
	return logs.With(ctx, logs.Attrs{
		slog.String(logs.Job, string(x.in.JobID)), slog.Int64(logs.Account, x.in.AccountID), slog.Int(logs.Attempt, int(x.info.Attempt)),
	})
}

// phase makes a span of a part of an attempt.
func phase(ctx context.Context, name string, do func(ctx context.Context) error) error {
	ctx, span := tracing.Start(ctx, name)
	err := do(ctx)
	tracing.End(span, err)
	return err
}

// runProgram runs the program in a span that it is told of, so that it can go on with the trace.
func (x *execution) runProgram(ctx, programCtx context.Context, run *runner.Execution) (runner.Result, error) {
	ctx, span := tracing.Start(ctx, "run program")
	at := tracing.Of(ctx)
	if at == (job.Trace{}) { // nobody records here; the caller's trace is passed on as it came
		at = x.job.Spec.Trace
	}
	run.Continue(at)
	result, err := run.Run(programCtx)
	if span.IsRecording() {
		span.SetAttributes(attribute.Int("process.exit.code", result.ExitCode), attribute.Bool("waybill.stopped", result.Stopped))
	}
	tracing.End(span, err)
	return result, err
}
