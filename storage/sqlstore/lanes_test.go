package sqlstore

import (
	"fmt"
	"strings"
	"testing"

	"gorm.io/gorm"

	"waybill/internal/control"
	"waybill/internal/job"
)

// What a lane does must not cost more the more jobs wait in it. Time says little on a busy machine, so this looks at what
// the engines read: every look into the jobs of a lane goes through one of its two indexes, and none sorts.
func TestLanesAreReadByTheirIndexes(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, s *Store) {
		c := inhabited(t, s)
		crowd(t, s, c, "key:crowd", 10_000)
		for name, q := range map[string]struct {
			sql   string
			args  []any
			index string
		}{
			"first": {"SELECT id FROM jobs WHERE " + waits + " AND account_id = ? AND lane = ? ORDER BY lane_seq LIMIT 1", []any{c.AccountID, "key:crowd"}, "jobs_lane_waiting"},
			"admit": {"UPDATE jobs SET reason = '' WHERE " + waits + " AND id IN (SELECT id FROM jobs WHERE " + waits +
				" AND account_id = ? AND lane = ? ORDER BY lane_seq LIMIT ?)", []any{c.AccountID, "key:crowd", 1}, "jobs_lane_waiting"},
			"held":     {"SELECT count(*) FROM jobs WHERE " + hasPlace + " AND account_id = ? AND lane = ?", []any{c.AccountID, "key:crowd"}, "jobs_lane_places"},
			"position": {"SELECT count(*) FROM jobs WHERE " + waits + " AND account_id = ? AND lane = ? AND lane_seq <= ?", []any{c.AccountID, "key:crowd", 10}, "jobs_lane_waiting"},
			"busy":     {"SELECT id FROM jobs WHERE " + inLane + " AND " + unfinished + " LIMIT 1", []any{c.AccountID, "key:idle"}, "jobs_lane"},
			"due":      {"SELECT id FROM jobs WHERE cancel_due AND id > ? ORDER BY id LIMIT ?", []any{"", 10}, "jobs_cancel_due"},
		} {
			plan := explained(t, s, q.sql, q.args...)
			if !strings.Contains(plan, q.index) {
				t.Errorf("%s is not read by %s:\n%s", name, q.index, plan)
			}
			if lower := strings.ToLower(plan); name != "due" && (strings.Contains(lower, "temp b-tree") || strings.Contains(lower, "sort key")) {
				t.Errorf("%s is sorted:\n%s", name, plan)
			}
		}
	})
}

// crowd makes a lane with one place, held, and n jobs that wait; number 0 holds the place.
func crowd(t *testing.T, s *Store, c job.Config, lane string, n int) (id func(n int) job.ID) {
	t.Helper()
	first := fmt.Sprintf("%08x%08x", c.ID, len(lane)) // lanes of a test have names of different lengths
	id = func(n int) job.ID { return job.ID(fmt.Sprintf("%s%08d", first, n)) }
	_, _, err := s.Submit(t.Context(), control.Submission{Job: job.Job{
		ID: id(0), AccountID: c.AccountID, ConfigID: c.ID, ScheduledAt: s.now(), Lane: lane, Spec: job.Spec{Concurrency: job.Concurrency{Limit: 1}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	columns := strings.Replace(jobColumns, "id, account_id", "account_id", 1)
	copied := strings.NewReplacer(" reason,", " 'sequenced',", " lane_seq,", " n,").Replace(columns)
	tx := s.write.WithContext(t.Context())
	if _, err = run(tx, `INSERT INTO jobs (id, `+columns+`)
		WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
		SELECT '`+first+`' || substr('0000000' || n, length('0000000' || n) - 7), `+copied+` FROM jobs, numbers WHERE id = ?`, n, string(id(0))); err != nil {
		t.Fatal(err)
	}
	if s.driver == Postgres {
		if _, err := run(tx, "ANALYZE jobs"); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

// explained is the plan of a statement as the engine words it.
func explained(t *testing.T, s *Store, sql string, args ...any) string {
	t.Helper()
	explain := "EXPLAIN "
	if s.driver == SQLite {
		explain = "EXPLAIN QUERY PLAN "
	}
	rows, err := s.write.WithContext(t.Context()).Raw(explain+sql, args...).Rows()
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var line string
		if s.driver == SQLite {
			var id, parent, unused int
			err = rows.Scan(&id, &parent, &unused, &line)
		} else {
			err = rows.Scan(&line)
		}
		if err != nil {
			t.Fatal(err)
		}
		plan.WriteString(line + "\n")
	}
	return plan.String()
}

// A lane of ten thousand that wait moves by as many statements as one of three.
func TestAdvancingALongLaneTakesAsManyStatementsAsAShortOne(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, s *Store) {
		c := inhabited(t, s)
		statements := 0
		count := func(*gorm.DB) { statements++ }
		for _, p := range []interface {
			Register(string, func(*gorm.DB)) error
		}{s.write.Callback().Raw().Before("*"), s.write.Callback().Row().Before("*")} {
			if err := p.Register("count", count); err != nil {
				t.Fatal(err)
			}
		}
		move := func(lane string, jobs int) int {
			t.Helper()
			ids := crowd(t, s, c, lane, jobs)
			l := job.LaneRef{AccountID: c.AccountID, Lane: lane}
			state, err := s.AdvanceLane(t.Context(), l, s.now())
			if err != nil || len(state.Changed) != 0 || state.Active != 1 || len(state.Head) != min(jobs, job.LaneHead) || state.More != (jobs > job.LaneHead) {
				t.Fatalf("with its place held: %+v, %v", state, err)
			}
			if _, err := s.Settle(t.Context(), c.AccountID, ids(0), 1<<62, job.Outcome{Status: job.Completed, At: s.now()}); err != nil {
				t.Fatal(err)
			}
			statements = 0
			state, err = s.AdvanceLane(t.Context(), l, s.now())
			if err != nil || len(state.Changed) != 1 || state.Changed[0].ID != ids(1) {
				t.Fatalf("with its place free: %+v, %v", state.Changed, err)
			}
			if j, err := s.Job(t.Context(), c.AccountID, ids(jobs)); err != nil || j.Position != jobs-1 {
				t.Errorf("position of the last: %d, %v", j.Position, err)
			}
			return statements
		}
		short, long := move("key:short", 3), move("key:long", 10_000)
		if short == 0 || long != short {
			t.Errorf("%d statements for ten thousand, %d for three", long, short)
		}
	})
}
