package sqlstore

import (
	"context"
	"fmt"
	"reflect"
	"slices"
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
	keys, err := jobListing.keys(q.Sort)
	if err != nil {
		return none, stats, err
	}
	var answer job.List[job.Job]
	read := func(ctx context.Context) (err error) {
		answer, stats, err = s.jobs(ctx, q, keys)
		return err
	}
	_, rest := counted(q.Where)
	if (classed(q) || tagsAsked(rest) != nil) && branching(q, keys) || narrow(q.Scope) && finishedPage(q, keys) {
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

// classed tells whether counters know which classes of jobs match: those of a filter, and those of a general user, whose own jobs and
// those of job configs they may see have no order in common.
func classed(q job.Query) bool {
	served, _ := counted(q.Where)
	return served != nil || narrow(q.Scope)
}

// branching tells whether a page can be read along the classes of the jobs that match.
func branching(q job.Query, keys []sortKey) bool {
	_, ordered := along(keys)
	return ordered && q.Offset < job.CountLimit && !onlyUnfinished(q.Where)
}

// jobs is Jobs, with the errors of the database as they are.
func (s *Store) jobs(ctx context.Context, q job.Query, keys []sortKey) (answer job.List[job.Job], stats job.JobStats, err error) {
	within, err := s.sightOf(ctx, q.Scope)
	if err != nil {
		return answer, stats, err
	}
	l, where, err := s.filter(jobListing, q, within.jobs(""))
	if err != nil {
		return answer, stats, err
	}
	answer.NotCounted = q.Keyset || q.Offset >= job.CountLimit
	served, rest := counted(q.Where)
	tags := tagsAsked(rest)
	exact := rest == nil || len(tags) == 1 // the counters know all of it
	var branches []branch
	if tags == nil && served == nil && branching(q, keys) {
		switch {
		case byScheduled(keys):
			branches = within.branches()
		case rest == nil && !narrow(q.Scope):
			branches = within.whole()
		}
	}
	classes := branches == nil && classed(q) && tags == nil && !onlyUnfinished(q.Where)
	var known *census
	if wanted := q.Stats || !answer.NotCounted; wanted && exact || classes {
		c, err := s.census(ctx, within, served, tags)
		if err != nil {
			return answer, stats, err
		}
		if known = &c; exact {
			stats = c.stats
			tally(&answer, c.total)
		}
		if classes && branching(q, keys) {
			branches = c.branches(within, keys)
		}
	}
	asked := q.Where
	if tags != nil && byScheduled(keys) && branching(q, keys) {
		asked, branches = served, s.tagBranches(within, tags, known)
	}
	if finishedPage(q, keys) {
		var c census // of the whole account no class is asked for
		if known != nil {
			c = *known
		}
		branches = append([]branch{live(within.jobs(""))}, c.finished(within)...)
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
		var filter condition
		if filter, err = s.compile(jobListing, within.AccountID, asked); err != nil {
			return answer, stats, err
		}
		if parameters(branches, filter) > maxParameters {
			rows, next, err = page[jobRow](ctx, s, l, q, where, keys, size)
		} else {
			rows, next, err = s.branchedPage(ctx, q, filter, keys, size, branches)
		}
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

// branch is a part of the jobs that match, which can be read along an index.
type branch struct {
	condition
	live   bool   // the unfinished ones
	index  string // along which it is read; SQLite has to be told
	from   string // what is read, where it is not jobs alone; at and id are its columns for the order then
	at, id string
}

// live is the branch of the unfinished jobs for which a condition holds.
func live(c condition) branch {
	return branch{condition: condition{sql: unfinished}.and(c), live: true, index: jobListing.indexed}
}

// maxParameters is how many a statement may have: SQLite takes 32,766.
const maxParameters = 30_000

// parameters is how many a page of these branches needs, at most.
func parameters(branches []branch, filter condition) (n int) {
	each := filter.parameters() + 4
	for _, b := range branches {
		n += b.parameters() + each
	}
	return n
}

// parameters is how many the condition has in a statement: a slice becomes as many as it is long.
func (c condition) parameters() (n int) {
	for _, arg := range c.args {
		if v := reflect.ValueOf(arg); v.Kind() == reflect.Slice {
			n += v.Len()
		} else {
			n++
		}
	}
	return n
}

// branches are the conditions under which the matching jobs can be read along an index in an order that has some: the unfinished ones, and each class of
// those that ended. Nil: there are so many classes of all statuses that the order itself is the best way, or so few jobs that they are sorted.
func (c census) branches(within sight, keys []sortKey) []branch {
	indexes, _ := along(keys)
	account, most := within.AccountID, maxBranches
	if narrow(within.Scope) {
		most = maxOwnBranches
	}
	scope := within.jobs("")
	some := []branch{live(scope)}
	mixed := byStarted(keys) && !c.seen(within)
	if mixed && c.total <= fewInSight {
		return nil
	}
	if len(c.ended) <= most && !mixed {
		for _, class := range c.ended {
			of := condition{
				sql:  "account_id = ? AND config_id = ? AND status = ? AND finished_at IS NOT NULL",
				args: []any{account, class.Config, class.Status},
			}.and(within.of(class.Config))
			some = append(some, branch{condition: of, index: indexes.config})
		}
		return some
	}
	var statuses []string
	for _, class := range c.ended {
		if !slices.Contains(statuses, class.Status) {
			statuses = append(statuses, class.Status)
		}
	}
	if byScheduled(keys) && len(statuses) == len(where(job.Status.Final)) {
		return nil // which has an index over all jobs
	}
	for _, status := range statuses {
		some = append(some, within.endedAs(status, indexes.status))
	}
	return some
}

// branchedPage is page over several branches, each of which is read along an index of its own. A job that is in two of them is shown once.
func (s *Store) branchedPage(
	ctx context.Context, q job.Query, filter condition, keys []sortKey, size int, branches []branch,
) ([]jobRow, []string, error) {
	offset := max(q.Offset, 0)
	if q.Keyset {
		offset = 0
	}
	var picks []string
	var args []any
	for _, b := range branches {
		from, c, ordered := b.from, b.and(filter), keys
		switch {
		case from != "":
			ordered = []sortKey{{sql: b.at, desc: keys[0].desc}, {sql: b.id, desc: keys[1].desc, text: true}}
		case byFinished(keys) && !b.live: // as the index has it: none of these is absent
			ordered = []sortKey{{sql: "finished_at", desc: keys[0].desc}, keys[1]}
		}
		if from == "" {
			if from = "jobs"; s.driver == SQLite {
				from += " INDEXED BY " + b.index
			}
		}
		if q.Keyset && len(q.After) > 0 {
			after, err := behind(ordered, q.After)
			if err != nil {
				return nil, nil, err
			}
			c = c.and(after)
		}
		picks = append(picks, "SELECT * FROM (SELECT "+ordered[0].sql+" AS place, "+ordered[1].sql+" AS picked FROM "+from+
			" WHERE "+c.sql+orderOf(ordered)+" LIMIT ?) AS branch")
		args = append(append(args, c.args...), offset+size+1)
	}
	// The ids of the page among the branches' pages, then their rows: of what is not shown no row is read. PostgreSQL takes the ids for so
	// many that it would read all jobs to join them, unless they are an array.
	among := "id IN (%s)"
	if s.driver == Postgres {
		among = "id = ANY (ARRAY(%s))"
	}
	ids := "SELECT picked FROM (" + strings.Join(picks, " UNION ALL ") + ") AS picks GROUP BY place, picked ORDER BY place" +
		keys[0].direction() + ", picked" + keys[1].direction() + " LIMIT ? OFFSET ?"
	rows, err := many[jobRow](s.reader(ctx), "SELECT "+jobColumns+" FROM jobs WHERE "+fmt.Sprintf(among, ids)+orderOf(keys),
		append(args, size+1, offset)...)
	if err != nil || len(rows) <= size || !q.Keyset {
		return rows, nil, err
	}
	return rows, rows[size-1].placeIn(keys), nil
}

// orderOf is the order of a page of branches.
func orderOf(keys []sortKey) string {
	return " ORDER BY " + keys[0].sql + keys[0].direction() + ", " + keys[1].sql + keys[1].direction()
}
