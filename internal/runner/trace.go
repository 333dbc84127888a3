package runner

import (
	"slices"
	"strings"

	"waybill/internal/job"
)

// Continue tells the program where it stands in a trace: TRACEPARENT and TRACESTATE in its environment, as OpenTelemetry
// names them (environment variables as context propagation carriers). A macro of that name goes before. It is called before Run.
func (e *Execution) Continue(t job.Trace) { e.trace = t }

// traced is the program's environment with the place in the trace. A state belongs to its parent, so that both are passed or
// none is.
func traced(env []string, t job.Trace) []string {
	own := func(v string) bool {
		return strings.HasPrefix(v, "TRACEPARENT=") || strings.HasPrefix(v, "TRACESTATE=")
	}
	if t.Parent == "" || slices.ContainsFunc(env, own) {
		return env
	}
	env = append(slices.Clone(env), "TRACEPARENT="+t.Parent)
	if t.State != "" {
		env = append(env, "TRACESTATE="+t.State)
	}
	return env
}
