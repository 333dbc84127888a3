package sqlstore

import (
	"slices"
	"strconv"

	"waybill/internal/job"
)

// The orders of lists that ended jobs have indexes in.

// way is the indexes over ended jobs in one order: those of a status, and those of a job config and a status.
type way struct{ status, config string }

// along gives the indexes for an order; false: ended jobs have none by their classes in it.
func along(keys []sortKey) (way, bool) {
	switch {
	case byScheduled(keys):
		return way{status: "jobs_ended", config: "jobs_config_ended"}, true
	case byStarted(keys):
		return way{status: "jobs_started", config: "jobs_config_started"}, true
	}
	return way{}, false
}

// byScheduled tells whether the order is that of the indexes over all jobs.
func byScheduled(keys []sortKey) bool { return byTime(keys, "scheduled_at") }

// byStarted tells whether the order is that of the indexes jobs_started and jobs_config_started, but for the unfinished ones. Jobs that
// ended before they began come first in it.
func byStarted(keys []sortKey) bool { return byTime(keys, absentFirst("started_at")) }

// byFinished tells whether the order is that of the index jobs_finished, but for the unfinished ones.
func byFinished(keys []sortKey) bool { return byTime(keys, absentFirst("finished_at")) }

// finishedPage tells whether a page is read along the indexes over ended jobs by their end.
func finishedPage(q job.Query, keys []sortKey) bool {
	return q.Where == nil && byFinished(keys) && q.Offset < job.CountLimit && len(q.After) == 0
}

func byTime(keys []sortKey, sql string) bool {
	return len(keys) == 2 && keys[0].sql == sql && keys[1].sql == "id"
}

// placeIn is the place of a job in an order of branches, as cursors tell it.
func (r jobRow) placeIn(keys []sortKey) []string {
	at := &r.ScheduledAt
	switch {
	case byStarted(keys):
		at = r.StartedAt
	case byFinished(keys):
		at = r.FinishedAt
	}
	micros := absentTime
	if at != nil {
		micros = *at
	}
	return []string{strconv.FormatInt(micros, 10), r.ID}
}

// whole are the branches of all jobs of an account by their start.
func (v sight) whole() []branch {
	some := []branch{live(v.jobs(""))}
	for _, status := range where(job.Status.Final) {
		some = append(some, v.endedAs(string(status), "jobs_started"))
	}
	return some
}

// endedAs is the branch of the jobs in sight that ended in a status.
func (v sight) endedAs(status, index string) branch {
	of := condition{sql: "account_id = ? AND status = ? AND finished_at IS NOT NULL", args: []any{v.AccountID, status}}
	return branch{condition: of.and(v.jobs("")), index: index}
}

// fewInSight is how many jobs are rather sorted than looked for among all.
const fewInSight = 500

// seen tells whether all that ended is of job configs in sight. Else there are a user's own jobs of configs that are out of their sight by now, which
// no index has by their start or end: a class may have many jobs and few of theirs.
func (c census) seen(within sight) bool {
	return !slices.ContainsFunc(c.ended, func(class classRow) bool { return !within.sees(class.Config) })
}

// finished are the branches of the ended jobs in sight by their end: those of each job config that has some, else all along one index.
func (c census) finished(within sight) (some []branch) {
	account := condition{sql: "account_id = ? AND finished_at IS NOT NULL", args: []any{within.AccountID}}
	all := []branch{{condition: account.and(within.jobs("")), index: "jobs_finished"}}
	if !narrow(within.Scope) || !c.seen(within) {
		return all
	}
	var configs []int64
	for _, class := range c.ended {
		if !slices.Contains(configs, class.Config) {
			configs = append(configs, class.Config)
		}
	}
	if len(configs) > maxOwnBranches {
		return all
	}
	for _, config := range configs {
		some = append(some, branch{condition: account.and(condition{sql: "config_id = ?", args: []any{config}}), index: "jobs_config_finished"})
	}
	return some
}
