package runner

import (
	"slices"
	"testing"

	"waybill/internal/job"
)

func TestAProgramIsToldWhereItStandsInATrace(t *testing.T) {
	t.Parallel()
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for name, c := range map[string]struct {
		env  []string
		at   job.Trace
		want []string
	}{
		"no trace":             {[]string{"A=1"}, job.Trace{}, []string{"A=1"}},
		"a trace":              {[]string{"A=1"}, job.Trace{Parent: parent}, []string{"A=1", "TRACEPARENT=" + parent}},
		"with a state":         {nil, job.Trace{Parent: parent, State: "v=1"}, []string{"TRACEPARENT=" + parent, "TRACESTATE=v=1"}},
		"a macro goes before":  {[]string{"TRACEPARENT=mine"}, job.Trace{Parent: parent, State: "v=1"}, []string{"TRACEPARENT=mine"}},
		"a name like it stays": {[]string{"TRACEPARENTS=x"}, job.Trace{Parent: parent}, []string{"TRACEPARENTS=x", "TRACEPARENT=" + parent}},
	} {
		if got := traced(c.env, c.at); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
