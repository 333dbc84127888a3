package sqlstore

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// countProperties are those that the counters of ended jobs are counted by, under the columns of jobs: one compiled condition
// goes for both.
var countProperties = func() map[string]property {
	some := map[string]property{}
	for _, name := range []string{
		"status", "reason", "taken", "jobConfig.id", "jobConfig.name", "packageName", "entryPoint", "submittedByUser.id",
		"submittedByUser.name", "destination.id",
	} {
		some[name] = jobListing.props[name]
	}
	return some
}()

// counted splits a filter into what the counters can answer and the rest; nil where there is none.
func counted(e job.Expr) (served, rest job.Expr) {
	if and, ok := e.(job.And); ok {
		var some, others job.And
		for _, m := range and {
			s, r := counted(m)
			if s != nil {
				some = append(some, s)
			}
			if r != nil {
				others = append(others, r)
			}
		}
		if len(some) > 0 {
			served = some
		}
		if len(others) > 0 {
			rest = others
		}
		return served, rest
	}
	if e == nil || countable(e) {
		return e, nil
	}
	return nil, e
}

func countable(e job.Expr) bool {
	switch e := e.(type) {
	case job.And:
		return !slices.ContainsFunc(e, func(m job.Expr) bool { return !countable(m) })
	case job.Or:
		return !slices.ContainsFunc(e, func(m job.Expr) bool { return !countable(m) })
	case job.Compare:
		_, ok := countProperties[e.Property]
		return ok
	}
	return e == nil
}

// census is what is known of the jobs that a filter can hold for.
type census struct {
	total int64
	stats job.JobStats
	ended []classRow // the classes of those that ended, and how many each has
}

type classRow struct {
	Config int64
	Status string
	Jobs   int64
}

// censusRow is one group of jobs, in the order of the query.
type censusRow struct {
	Config int64
	Status string
	Error  bool
	Taken  bool
	Ended  bool
	Jobs   int64
	Micros int64
}

// census counts all jobs for which a filter holds that counters can answer, those with one tag if one is given. One statement reads
// counters, changes and unfinished jobs, so it sees them as they were at one moment.
func (s *Store) census(ctx context.Context, within sight, served job.Expr, tags []string) (census, error) {
	var c census
	where, err := s.compile(jobListing, within.AccountID, served)
	if err != nil {
		return c, err
	}
	where = within.counts().and(where)
	counts, live := tallied, where
	if len(tags) == 1 {
		counts, live = talliedByTag, where.and(s.hasTag(tags))
		where = condition{sql: "tag = ?", args: []any{tags[0]}}.and(where)
	}
	from := "jobs"
	if s.driver == SQLite {
		from += " INDEXED BY " + jobListing.indexed
	}
	args := slices.Concat(where.args, where.args, live.args)
	rows, err := many[censusRow](s.reader(ctx), `
		SELECT config_id, status, reason = 'error', taken, ended, CAST(sum(jobs) AS bigint), CAST(sum(micros) AS bigint) FROM (
			SELECT config_id, status, reason, taken, true AS ended, jobs, micros FROM `+counts.table+` WHERE `+where.sql+` UNION ALL
			SELECT config_id, status, reason, taken, true, jobs, micros FROM `+counts.changes+` WHERE `+where.sql+` UNION ALL
			SELECT config_id, status, reason, taken, false, 1, 0 FROM `+from+` WHERE `+unfinished+` AND `+live.sql+`) AS classes
		GROUP BY config_id, status, reason = 'error', taken, ended HAVING sum(jobs) <> 0`, args...)
	if err != nil {
		return c, err
	}
	classes := map[classRow]int64{}
	for _, r := range rows {
		*r.counter(&c.stats) += r.Jobs
		c.stats.TotalDuration += time.Duration(r.Micros) * time.Microsecond
		c.total += r.Jobs
		if r.Ended {
			classes[classRow{Config: r.Config, Status: r.Status}] += r.Jobs
		}
	}
	for class, jobs := range classes {
		class.Jobs = jobs
		c.ended = append(c.ended, class)
	}
	return c, nil
}

func (r censusRow) counter(s *job.JobStats) *int64 {
	return statsRow{Status: r.Status, Error: r.Error, Taken: r.Taken}.counter(s)
}

// countAtMost counts the jobs that match up to job.CountLimit, with statistics of those.
func (s *Store) countAtMost(ctx context.Context, l listing, where condition) (total int64, stats job.JobStats, err error) {
	rows, err := many[statsRow](s.reader(ctx), `
		SELECT status, reason = 'error' AS error, taken, count(*) AS jobs, CAST(coalesce(sum(finished_at - started_at), 0) AS bigint) AS micros
		FROM (SELECT status, reason, taken, started_at, finished_at FROM `+l.from+` WHERE `+where.sql+` LIMIT ?) AS counted
		GROUP BY status, reason = 'error', taken`, append(slices.Clone(where.args), job.CountLimit+1)...)
	if err != nil {
		return 0, stats, err
	}
	for _, r := range rows {
		*r.counter(&stats) += r.Jobs
		stats.TotalDuration += time.Duration(r.Micros) * time.Microsecond
		total += r.Jobs
	}
	stats.Capped = total > job.CountLimit
	return total, stats, nil
}

// foldBatch is how many changes one transaction adds to the counters, foldLock the advisory lock under which it does.
const (
	foldBatch       = 10_000
	foldLock  int64 = 0x77617962_666f6c64
)

const countColumns = `account_id, owner_id, config_id, config_name, config_name_fold, package_name, package_name_fold, entry_point,
	entry_point_fold, submitted_by_id, submitted_by_name, submitted_by_fold, destination_id, status, reason, taken`

const countKey = `account_id, owner_id, config_id, config_name, package_name, entry_point, submitted_by_id, submitted_by_name,
	destination_id, status, reason, taken`

// counters are a table of them, what is to be added to it, and by what it counts.
type counters struct{ table, changes, tag string }

var (
	tallied      = counters{table: "job_counts", changes: "job_count_changes"}
	talliedByTag = counters{table: "job_tag_counts", changes: "job_tag_count_changes", tag: "tag, "}
)

// FoldCounts is control.CountFolder's: it adds the changes to the counters. Readers see either a change or its sum; should another process be at it, it is
// left to that one.
func (s *Store) FoldCounts(ctx context.Context) error {
	if s.driver != Postgres {
		return nil
	}
	for _, c := range []counters{tallied, talliedByTag} {
		if err := s.fold(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) fold(ctx context.Context, c counters) error {
	for {
		var gone int64
		err := s.transactLater(ctx, func(tx *gorm.DB) error {
			gone = 0
			mine, _, err := one[bool](tx, "SELECT pg_try_advisory_xact_lock(?)", foldLock)
			if err != nil || !mine {
				return err
			}
			gone, _, err = one[int64](tx, `
				WITH gone AS (
					DELETE FROM `+c.changes+` WHERE seq IN (SELECT seq FROM `+c.changes+` ORDER BY seq LIMIT ?)
					RETURNING `+c.tag+countColumns+`, jobs, micros
				), added AS (
					INSERT INTO `+c.table+` (key, `+c.tag+countColumns+`, jobs, micros)
					SELECT md5(row(`+c.tag+countKey+`)::text), `+c.tag+`account_id, owner_id, config_id, config_name, min(config_name_fold), package_name,
						min(package_name_fold), entry_point, min(entry_point_fold), submitted_by_id, submitted_by_name,
						min(submitted_by_fold), destination_id, status, reason, taken, sum(jobs), sum(micros)
					FROM gone GROUP BY `+c.tag+countKey+`
					ON CONFLICT (key) DO UPDATE SET jobs = `+c.table+`.jobs + excluded.jobs, micros = `+c.table+`.micros + excluded.micros
				) SELECT count(*) FROM gone`, foldBatch)
			if err == nil && gone > 0 {
				_, err = run(tx, "DELETE FROM "+c.table+" WHERE jobs = 0 AND micros = 0")
			}
			return err
		})
		if err != nil || gone < foldBatch {
			return err
		}
	}
}
