package sqlstore

import (
	"strings"

	"waybill/internal/job"
)

// The conditions of compare-and-set, made from the status machine of internal/job. Statuses are constants of ours, so they
// are written into the SQL: the engines can then see that a partial index fits.
var (
	unfinished  = statusIn(where(func(s job.Status) bool { return !s.Final() })) // as in the index jobs_unfinished
	beginnable  = statusIn(job.Sources(job.Running))
	pausable    = statusIn(job.Sources(job.Queued))
	stoppable   = statusIn(job.Sources(job.Cancelling))
	endedAtOnce = statusIn(where(cancelEnds))
	cancellable = statusIn(where(func(s job.Status) bool { return cancelEnds(s) || s.CanBecome(job.Cancelling) }))
	underWorker = statusIn(where(hasWorker))
	finishable  = map[job.Status]string{
		job.Completed: finishableTo(job.Completed),
		job.Failed:    finishableTo(job.Failed),
		job.Cancelled: finishableTo(job.Cancelled),
	}
)

// hasWorker tells whether a worker holds a job of status s: one that a worker can cancel, and what becomes of it.
func hasWorker(s job.Status) bool { return s == job.Cancelling || s.CanBecome(job.Cancelling) }

// cancelEnds tells whether a user's cancel ends a job of status s at once, because no worker has it.
func cancelEnds(s job.Status) bool { return s.CanBecome(job.Cancelled) && !hasWorker(s) }

// finishableTo is from where the worker that holds a job can end it: also over a step in between (running to cancelled
// goes by cancelling), because one report may tell of both.
func finishableTo(to job.Status) string {
	return statusIn(where(func(s job.Status) bool { return hasWorker(s) && job.Path(s, to) != nil }))
}

func where(holds func(job.Status) bool) []job.Status {
	var some []job.Status
	for _, s := range job.Statuses {
		if holds(s) {
			some = append(some, s)
		}
	}
	return some
}

func statusIn(statuses []job.Status) string {
	quoted := make([]string, len(statuses))
	for i, s := range statuses {
		quoted[i] = "'" + string(s) + "'"
	}
	return "status IN (" + strings.Join(quoted, ", ") + ")"
}
