package job

import "strings"

// Trace is a place in a trace as W3C Trace Context writes it. The zero value is none.
type Trace struct {
	Parent string `json:"parent,omitempty"` // traceparent: 00-<trace id>-<span id>-<flags>
	State  string `json:"state,omitempty"`  // tracestate
}

// ID is the trace's id, 32 hex digits; empty for none.
func (t Trace) ID() string {
	parts := strings.SplitN(t.Parent, "-", 4)
	if len(parts) < 4 {
		return ""
	}
	return parts[1]
}
