package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"waybill/internal/job"
)

// maxBranches is how many classes of jobs a page is put together from; of more, some are met soon by walking along the order.
const maxBranches = 50

// maxOwnBranches is that of a general user's jobs: they may be few among those of the account, and far apart.
const maxOwnBranches = 200

// Jobs is control.JobReader's. The jobs of a list come without the macros and files of their Spec: a page of a thousand
// would else hold a thousand times what one submitter may send.
//
// What a list costs does not depend on how many jobs there are. The counters tell how many match, and of which configs and
// statuses they are: those are read along their own indexes, a page of each. What counters can not tell (tags, dates, ids) is
// counted up to job.CountLimit.
func (s *Store) Jobs(ctx context.Context, q job.Query) (job.List[job.Job], job.JobStats, error) {
	var (
		none  job.List[job.Job]
		stats job.JobStats
	)
	var err error
	if q.Where, err = s.narrowed(ctx, q.Scope.AccountID, q.Where); err != nil {
		return none, stats, s.fault(ctx, err)
	}
	l, where, err := s.filter(jobListing, q, scopedJobs(q.Scope, ""))
	if err != nil {
		return none, stats, s.fault(ctx, err)
	}
	keys, err := l.keys(q.Sort)
	if err != nil {
		return none, stats, err
	}
	var answer job.List[job.Job]
	read := func(ctx context.Context) (err error) {
		answer, stats, err = s.jobs(ctx, q, l, where, keys)
		return err
	}
	if _, rest := counted(q.Where); (classed(q) || tagsAsked(rest) != nil) && branching(q, keys) {
		// A job that ends meanwhile must not be in neither: unfinished when classes were counted, ended when rows were read.
		err = s.snapshot(ctx, read)
	} else {
		err = read(ctx)
	}
	if err != nil {
		return none, job.JobStats{}, s.fault(ctx, err)
	}
	return answer, stats, nil
}

// narrow tells whether a scope holds less than the account.
func narrow(s job.Scope) bool { return s.OwnerID != 0 || len(s.Only) > 0 }

// classed tells whether counters know which classes of jobs match: those of a filter, and those of a general user, whose own jobs and
// those of job configs they may see have no order in common.
func classed(q job.Query) bool {
	served, _ := counted(q.Where)
	return served != nil || narrow(q.Scope)
}

// branching tells whether a page can be read along the classes of the jobs that match.
func branching(q job.Query, keys []sortKey) bool {
	return byScheduled(keys) && q.Offset < job.CountLimit && !onlyUnfinished(q.Where)
}

// jobs is Jobs, with the errors of the database as they are.
func (s *Store) jobs(
	ctx context.Context, q job.Query, l listing, where condition, keys []sortKey,
) (answer job.List[job.Job], stats job.JobStats, err error) {
	answer.NotCounted = q.Keyset || q.Offset >= job.CountLimit
	served, rest := counted(q.Where)
	tags := tagsAsked(rest)
	exact := rest == nil || len(tags) == 1 // the counters know all of it
	var branches []branch
	var known *census
	if wanted := q.Stats || !answer.NotCounted; wanted && exact || classed(q) && tags == nil && !onlyUnfinished(q.Where) {
		c, err := s.census(ctx, q, served, tags)
		if err != nil {
			return answer, stats, err
		}
		if known = &c; exact {
			stats = c.stats
			tally(&answer, c.total)
		}
		if classed(q) && tags == nil && branching(q, keys) {
			branches = c.branches(q.Scope)
		}
	}
	within := where
	if tags != nil && branching(q, keys) {
		if _, within, err = s.filter(jobListing, job.Query{Scope: q.Scope, Where: served}, scopedJobs(q.Scope, "")); err != nil {
			return answer, stats, err
		}
		branches = s.tagBranches(q.Scope.AccountID, tags, known)
	}
	if q.Where == nil && byFinished(keys) && q.Offset < job.CountLimit && len(q.After) == 0 {
		branches = []branch{{condition: condition{sql: unfinished}, live: true}, {condition: condition{sql: "account_id = ? AND finished_at IS NOT NULL", args: []any{q.Scope.AccountID}}}}
	}
	if !exact && (q.Stats || !answer.NotCounted) {
		total, counted, err := s.countAtMost(ctx, l, where)
		if err != nil {
			return answer, stats, err
		}
		stats = counted
		tally(&answer, total)
	}
	if !q.Stats {
		stats = job.JobStats{}
	}
	size := q.Size
	if size <= 0 {
		size = defaultSize
	}
	var rows []jobRow
	var next []string
	if branches == nil {
		rows, next, err = page[jobRow](ctx, s, l, q, where, keys, size)
	} else {
		rows, next, err = s.branchedPage(ctx, q, within, keys, size, branches)
	}
	if err != nil {
		return answer, stats, err
	}
	if answer.More = len(rows) > size; answer.More {
		rows, answer.Next = rows[:size], next
	}
	answer.Items, err = all(rows, jobRow.job)
	return answer, stats, err
}

// tally puts down how many match, as far as totals are told.
func tally(l *job.List[job.Job], total int64) {
	if !l.NotCounted {
		l.Total, l.Capped = int(min(total, job.CountLimit)), total > job.CountLimit
	}
}

// byScheduled tells whether the order is that of the indexes over ended jobs.
func byScheduled(keys []sortKey) bool {
	return len(keys) == 2 && keys[0].sql == "scheduled_at" && keys[1].sql == "id"
}

// byFinished tells whether the order is that of the index jobs_finished, but for the unfinished ones.
func byFinished(keys []sortKey) bool {
	return len(keys) == 2 && keys[0].sql == absentFirst("finished_at") && keys[1].sql == "id"
}

// branch is a part of the jobs that match, which can be read along an index.
type branch struct {
	condition
	live   bool   // the unfinished ones
	from   string // what is read, where it is not jobs alone; at and id are its columns for the order then
	at, id string
}

// branches are the conditions under which the matching jobs can be read along an index: the unfinished ones, and each class of
// those that ended. Nil: there are so many classes of all statuses that the order itself is the best way.
func (c census) branches(scope job.Scope) []branch {
	account, most := scope.AccountID, maxBranches
	if narrow(scope) {
		most = maxOwnBranches
	}
	live := branch{condition: condition{sql: unfinished}, live: true}
	if len(c.ended) <= most {
		some := []branch{live}
		for _, class := range c.ended {
			some = append(some, branch{condition: condition{
				sql:  "account_id = ? AND config_id = ? AND status = ? AND finished_at IS NOT NULL",
				args: []any{account, class.Config, class.Status},
			}})
		}
		return some
	}
	var statuses []string
	for _, class := range c.ended {
		if !slices.Contains(statuses, class.Status) {
			statuses = append(statuses, class.Status)
		}
	}
	if len(statuses) == len(where(job.Status.Final)) {
		return nil
	}
	some := []branch{live}
	for _, status := range statuses {
		some = append(some, branch{condition: condition{sql: "account_id = ? AND status = ? AND finished_at IS NOT NULL", args: []any{account, status}}})
	}
	return some
}

// branchedPage is page over several branches, each of which is read along an index of its own. A job that is in two of them is shown once.
func (s *Store) branchedPage(
	ctx context.Context, q job.Query, where condition, keys []sortKey, size int, branches []branch,
) ([]jobRow, []string, error) {
	offset := max(q.Offset, 0)
	if q.Keyset {
		offset = 0
	}
	order := orderOf(keys)
	var picks []string
	var args []any
	for _, b := range branches {
		from, c, ordered := b.from, b.and(where), keys
		switch {
		case from != "":
			ordered = []sortKey{{sql: b.at, desc: keys[0].desc}, {sql: b.id, desc: keys[1].desc, text: true}}
		case byFinished(keys) && !b.live: // as the index has it: none of these is absent
			ordered = []sortKey{{sql: "finished_at", desc: keys[0].desc}, keys[1]}
		}
		if from == "" {
			from = s.indexOf(b, keys)
		}
		if q.Keyset && len(q.After) > 0 {
			after, err := behind(keys, q.After)
			if err == nil && b.from != "" {
				after, err = behind(ordered, q.After)
			}
			if err != nil {
				return nil, nil, err
			}
			c = c.and(after)
		}
		picks = append(picks, "SELECT * FROM (SELECT jobs.id AS picked FROM "+from+" WHERE "+c.sql+orderOf(ordered)+" LIMIT ?) AS branch")
		args = append(append(args, c.args...), offset+size+1)
	}
	// The ids of the branches' pages, then the rows of the page among them. PostgreSQL takes them for so many that it would read all jobs
	// to join them, unless they are an array.
	among := "id IN (%s)"
	if s.driver == Postgres {
		among = "id = ANY (ARRAY(%s))"
	}
	rows, err := many[jobRow](s.reader(ctx), "SELECT "+jobColumns+" FROM jobs WHERE "+fmt.Sprintf(among, strings.Join(picks, " UNION ALL "))+order+" LIMIT ? OFFSET ?", append(args, size+1, offset)...)
	if err != nil || len(rows) <= size || !q.Keyset {
		return rows, nil, err
	}
	last := rows[size-1]
	at := last.ScheduledAt
	if byFinished(keys) {
		if at = absentTime; last.FinishedAt != nil {
			at = *last.FinishedAt
		}
	}
	return rows, []string{strconv.FormatInt(at, 10), last.ID}, nil
}

// indexOf names the index that a branch is read along, where the database has to be told.
func (s *Store) indexOf(b branch, keys []sortKey) string {
	if s.driver != SQLite {
		return "jobs"
	}
	index := "jobs_ended"
	switch {
	case b.live:
		index = jobListing.indexed
	case strings.Contains(b.sql, "config_id"):
		index = "jobs_config_ended"
	case byFinished(keys):
		index = "jobs_finished"
	}
	return "jobs INDEXED BY " + index
}

// orderOf is the order of a page of branches.
func orderOf(keys []sortKey) string {
	return " ORDER BY " + keys[0].sql + keys[0].direction() + ", " + keys[1].sql + keys[1].direction()
}
