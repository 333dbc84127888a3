package native

import (
	"slices"
	"strings"
	"time"

	"waybill/internal/job"
)

// vendorStatus is one row of the map of native.md, 6.1. The rows do not overlap and cover every job, so the table can
// be read both ways: from a job to its word, and from a word to the jobs it means.
type vendorStatus struct {
	word    string // as jobs show it
	state   string // the ?state= word besides finished_all
	status  job.Status
	reasons []job.Reason // nil: any
	except  bool         // reasons are those it must not have
	taken   *bool        // nil: either
	ahead   *bool        // whether StartAfter lies ahead; nil: either
}

var (
	yes, no = true, false

	sequenced    = []job.Reason{job.ReasonSequenced}
	initializing = []job.Reason{job.ReasonInitializing}
	failedItself = []job.Reason{job.ReasonError}
)

var vendorStatuses = []vendorStatus{
	{word: "SEQUENCED", state: "queued", status: job.Queued, reasons: sequenced},
	{word: "WAITING", state: "waiting", status: job.Queued, reasons: sequenced, except: true, ahead: &yes},
	{word: "QUEUED", state: "queued", status: job.Queued, reasons: sequenced, except: true, ahead: &no},
	{word: "INITIALIZING", state: "initializing", status: job.Running, reasons: initializing},
	{word: "RUNNING", state: "running", status: job.Running, reasons: initializing, except: true},
	{word: "RUNNING", state: "running", status: job.Cancelling},
	{word: "FINISHED", state: "finished_ok", status: job.Completed},
	{word: "ERROR", state: "finished_error", status: job.Failed, reasons: failedItself},
	{word: "FAILED", state: "aborted", status: job.Failed, reasons: failedItself, except: true},
	{word: "FAILED", state: "aborted", status: job.Cancelled, taken: &yes},
	{word: "CANCELLED", state: "cancelled", status: job.Cancelled, taken: &no},
}

// statusWord is a job's status as this door shows it.
func statusWord(j job.Job, now time.Time) string {
	for _, v := range vendorStatuses {
		if v.status == j.Status && (v.reasons == nil || slices.Contains(v.reasons, j.Reason) != v.except) &&
			(v.taken == nil || *v.taken == j.Taken) && (v.ahead == nil || *v.ahead == j.StartAfter.After(now)) {
			return v.word
		}
	}
	return "FAILED" // unreachable while the rows cover every job, which a test sees to
}

// means is the condition of the row.
func (v vendorStatus) means(now time.Time) job.Expr {
	all := job.And{job.Compare{Property: "status", Op: job.Eq, Values: []any{v.status}}}
	if v.reasons != nil {
		c := job.Compare{Property: "reason", Op: job.In}
		if v.except {
			c.Op = job.NotIn
		}
		for _, r := range v.reasons {
			c.Values = append(c.Values, r)
		}
		all = append(all, c)
	}
	if v.taken != nil {
		all = append(all, job.Compare{Property: "taken", Op: job.Eq, Values: []any{*v.taken}})
	}
	if v.ahead != nil {
		later := job.Compare{Property: "startAfter", Op: job.Gt, Values: []any{now}}
		if *v.ahead {
			all = append(all, later)
		} else {
			later.Op = job.Lte
			all = append(all, job.Or{job.Compare{Property: "startAfter", Op: job.Null}, later})
		}
	}
	return all
}

// jobsShownAs is the condition for jobs whose word fits.
func jobsShownAs(now time.Time, fits func(v vendorStatus) bool) job.Expr {
	any := job.Or{}
	for _, v := range vendorStatuses {
		if fits(v) {
			any = append(any, v.means(now))
		}
	}
	return any
}

// jobsInState reads a ?state= value: a comma list of the vendor's filter words.
func jobsInState(states string, now time.Time) (job.Expr, error) {
	wanted := map[string]bool{}
	for _, s := range strings.Split(states, ",") {
		s = strings.TrimSpace(s)
		switch {
		case s == "finished_all":
			for _, v := range vendorStatuses {
				if v.status.Final() && v.state != "cancelled" {
					wanted[v.state] = true
				}
			}
		case s == "unknown": // matches nothing
		case slices.ContainsFunc(vendorStatuses, func(v vendorStatus) bool { return v.state == s }):
			wanted[s] = true
		default:
			return nil, invalid("state '%s' is not one of waiting, queued, initializing, running, finished_all, finished_ok, "+
				"finished_error, cancelled, aborted, unknown", cut(s))
		}
	}
	return jobsShownAs(now, func(v vendorStatus) bool { return wanted[v.state] }), nil
}

// compareStatus is a filter comparison on the property "status", by the words this door shows.
func compareStatus(now time.Time, op job.Op, values []string) (job.Expr, error) {
	is := func(word string) bool {
		return slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, word) })
	}
	contains := func(word string) bool { return strings.Contains(word, strings.ToUpper(values[0])) }
	var fits func(word string) bool
	switch op {
	case job.Eq, job.In:
		fits = is
	case job.Ne, job.NotIn:
		fits = func(word string) bool { return !is(word) }
	case job.Like:
		fits = contains
	case job.NotLike:
		fits = func(word string) bool { return !contains(word) }
	case job.Null:
		return job.Or{}, nil
	case job.NotNull:
		return job.And{}, nil
	default:
		return nil, invalid("Operator %s does not go with status", op)
	}
	return jobsShownAs(now, func(v vendorStatus) bool { return fits(v.word) }), nil
}
