package activities

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"waybill/internal/job"
	"waybill/internal/tracing"
)

// trace puts an attempt into the trace of the job it tells of. The workflow itself is in none: whoever starts deliveries does
// so for many jobs. The address stays out of the span.
func (d *Deliveries) trace(ctx context.Context, row job.Delivery, j job.Job, number int) (context.Context, func(outcome)) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = tracing.Into(ctx, j.Spec.Trace)
	}
	if d.cfg.Tracer == nil || !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, func(outcome) {}
	}
	ctx, span := d.cfg.Tracer.Start(ctx, "deliver "+string(row.Kind), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String(tracing.Job, string(row.JobID)), attribute.Int64(tracing.Account, row.AccountID), attribute.Int(tracing.Attempt, number),
		attribute.String("waybill.delivery", row.ID), attribute.String("waybill.event", row.Event),
	))
	return ctx, func(o outcome) {
		if o.code != 0 {
			span.SetAttributes(attribute.Int("http.response.status_code", o.code))
		}
		if o.fault != "" || o.ours != nil {
			span.SetStatus(codes.Error, o.fault)
		}
		span.End()
	}
}
