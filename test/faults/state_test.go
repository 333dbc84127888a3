package faults

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the drivers of both databases
	_ "modernc.org/sqlite"
)

// database is where the tables are, past any proxy.
type database struct{ driver, source string }

// jobState is a job as the tables have it.
type jobState struct {
	id, status, reason, message, worker string
	config                              string
	attempt, failures                   int
	code                                sql.NullInt64
	taken                               bool
	scheduled, started, finished        time.Time
	retryOf, root, resolvedBy, scope    string
	retryNumber                         int
	rolledUp                            bool
	lane                                string
	laneSeq                             int64
	counters
	plan     plan
	attempts []attemptState
	events   []eventState
	steps    []stepState
	errors   map[string]errorState // by record
	given    []string              // records, of a retry of failed records
}

type attemptState struct {
	number         int
	worker, reason string
	started, ended time.Time
	code           sql.NullInt64
	message        string
}

type eventState struct {
	kind, data string
	at         time.Time
	place      int // in the stream of all events
	status     struct {
		Status, Reason string
		Attempt        int
	}
}

type stepState struct {
	name, status string
	counters
}

type errorState struct {
	attempt int
	how     string // "": open
	retry   string // the newest that was given the record, or raised it again
}

func (j jobState) final() bool { return final(j.status) }

func final(status string) bool {
	return status == "completed" || status == "failed" || status == "cancelled"
}

// ending is how it ended, in a word or two.
func (j jobState) ending() string {
	if j.reason == "" {
		return j.status
	}
	return j.status + "/" + j.reason
}

// moment is a column with microseconds since 1970, or NULL.
func moment(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMicro(n.Int64)
}

// read reads all jobs, in the order in which they were accepted.
func (s *system) read(ctx context.Context) (order []*jobState, err error) {
	db, err := sql.Open(s.database.driver, s.database.source)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	jobs := map[string]*jobState{}
	for _, load := range []func(context.Context, *sql.DB, map[string]*jobState, *[]*jobState) error{
		loadJobs, loadInputs, loadAttempts, loadEvents, loadSteps, loadErrors, loadGiven,
	} {
		if err := load(ctx, db, jobs, &order); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// notRolledUp counts retries whose parents have not been told yet.
func (s *system) notRolledUp(ctx context.Context) (n int, err error) {
	db, err := sql.Open(s.database.driver, s.database.source)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return n, db.QueryRowContext(ctx, "SELECT count(*) FROM jobs WHERE retry_of <> '' AND NOT rolled_up").Scan(&n)
}

// each runs a query and calls fn for every row.
func each(ctx context.Context, db *sql.DB, query string, fn func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
	}
	return rows.Err()
}

func loadJobs(ctx context.Context, db *sql.DB, jobs map[string]*jobState, order *[]*jobState) error {
	return each(ctx, db, `SELECT id, status, reason, message, worker, config_id, attempt, failures, return_code, taken,
		scheduled_at, started_at, finished_at, retry_of, root, resolved_by, retry_scope, retry_number, rolled_up, lane, lane_seq,
		records_read, records_written, records_failed, records_ignored, errors_open, errors_resolved
		FROM jobs ORDER BY scheduled_at, id`, func(rows *sql.Rows) error {
		j := &jobState{}
		var scheduled, started, finished sql.NullInt64
		err := rows.Scan(&j.id, &j.status, &j.reason, &j.message, &j.worker, &j.config, &j.attempt, &j.failures, &j.code, &j.taken,
			&scheduled, &started, &finished, &j.retryOf, &j.root, &j.resolvedBy, &j.scope, &j.retryNumber, &j.rolledUp, &j.lane, &j.laneSeq,
			&j.read, &j.written, &j.failed, &j.ignored, &j.open, &j.resolved)
		j.scheduled, j.started, j.finished = moment(scheduled), moment(started), moment(finished)
		jobs[j.id] = j
		*order = append(*order, j)
		return err
	})
}

func loadInputs(ctx context.Context, db *sql.DB, jobs map[string]*jobState, _ *[]*jobState) error {
	return each(ctx, db, `SELECT job_id, macros FROM job_inputs`, func(rows *sql.Rows) error {
		var id, text string
		if err := rows.Scan(&id, &text); err != nil {
			return err
		}
		var macros []struct{ Key, Value string }
		if err := json.Unmarshal([]byte(text), &macros); err != nil {
			return err
		}
		for _, m := range macros {
			if m.Key == "FAULTS_PLAN" {
				if err := json.Unmarshal([]byte(m.Value), &jobs[id].plan); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func loadAttempts(ctx context.Context, db *sql.DB, jobs map[string]*jobState, _ *[]*jobState) error {
	return each(ctx, db, `SELECT job_id, number, worker, reason, started_at, finished_at, return_code, message
		FROM job_attempts ORDER BY job_id, number`, func(rows *sql.Rows) error {
		var id string
		var a attemptState
		var started, ended sql.NullInt64
		err := rows.Scan(&id, &a.number, &a.worker, &a.reason, &started, &ended, &a.code, &a.message)
		a.started, a.ended = moment(started), moment(ended)
		jobs[id].attempts = append(jobs[id].attempts, a)
		return err
	})
}

func loadEvents(ctx context.Context, db *sql.DB, jobs map[string]*jobState, _ *[]*jobState) error {
	place := 0
	return each(ctx, db, `SELECT job_id, kind, data, at FROM job_events ORDER BY tx, seq`, func(rows *sql.Rows) error {
		var id string
		var e eventState
		var at sql.NullInt64
		if err := rows.Scan(&id, &e.kind, &e.data, &at); err != nil {
			return err
		}
		place++
		e.at, e.place = moment(at), place
		if e.kind == "status" {
			if err := json.Unmarshal([]byte(e.data), &e.status); err != nil {
				return err
			}
		}
		jobs[id].events = append(jobs[id].events, e)
		return nil
	})
}

func loadSteps(ctx context.Context, db *sql.DB, jobs map[string]*jobState, _ *[]*jobState) error {
	return each(ctx, db, `SELECT job_id, name, status, records_read, records_written, records_failed, records_ignored,
		errors_open, errors_resolved FROM job_steps ORDER BY job_id, position`, func(rows *sql.Rows) error {
		var id string
		var st stepState
		err := rows.Scan(&id, &st.name, &st.status, &st.read, &st.written, &st.failed, &st.ignored, &st.open, &st.resolved)
		jobs[id].steps = append(jobs[id].steps, st)
		return err
	})
}

func loadErrors(ctx context.Context, db *sql.DB, jobs map[string]*jobState, _ *[]*jobState) error {
	return each(ctx, db, `SELECT job_id, record_id, attempt, resolved_how, retry_job FROM job_errors`, func(rows *sql.Rows) error {
		var id, record string
		var e errorState
		err := rows.Scan(&id, &record, &e.attempt, &e.how, &e.retry)
		if jobs[id].errors == nil {
			jobs[id].errors = map[string]errorState{}
		}
		jobs[id].errors[record] = e
		return err
	})
}

func loadGiven(ctx context.Context, db *sql.DB, jobs map[string]*jobState, _ *[]*jobState) error {
	return each(ctx, db, `SELECT job_id, record_id FROM retry_records ORDER BY job_id, record_id`, func(rows *sql.Rows) error {
		var id, record string
		err := rows.Scan(&id, &record)
		jobs[id].given = append(jobs[id].given, record)
		return err
	})
}
