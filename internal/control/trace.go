package control

import (
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"waybill/internal/job"
	"waybill/internal/tracing"
)

// endSubmit tells what came of a start or a retry, in its span and to whoever counts.
func (s *Jobs) endSubmit(span trace.Span, trigger job.Trigger, made Submitted, err error) {
	if s.Observe != nil {
		outcome := made.Outcome()
		if err != nil {
			outcome = "refused"
		}
		s.Observe(trigger, outcome, job.WordOf(err))
	}
	if span.IsRecording() && err == nil {
		j := made.Job
		span.SetAttributes(
			attribute.String(tracing.Job, string(j.ID)), attribute.String(tracing.JobConfig, strconv.FormatInt(j.ConfigID, 10)),
			attribute.String(tracing.Trigger, string(j.Trigger)), attribute.String(tracing.Outcome, made.Outcome()),
		)
	}
	tracing.End(span, err)
}

// Outcome is what came of the call in a word: accepted, replayed or skipped.
func (s Submitted) Outcome() string {
	switch {
	case s.Active:
		return "skipped"
	case s.Replayed:
		return "replayed"
	case s.Skipped:
		return "skipped"
	}
	return "accepted"
}
