package sqlstore

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/storage/storagetest"
)

func submitted(t *testing.T, s *Store, c job.Config, n int) job.ID {
	t.Helper()
	id := job.ID(fmt.Sprintf("69b920710000000000%06x", n))
	_, _, err := s.Submit(t.Context(), control.Submission{Job: job.Job{
		ID: id, AccountID: c.AccountID, ConfigID: c.ID, OwnerID: 1, ScheduledAt: time.UnixMicro(int64(n)),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// The proof that no reader overtakes an open transaction: its number is smaller than that of an event that was
// committed before it, and still it is read.
func TestNoReaderOvertakesAnOpenTransaction(t *testing.T) {
	t.Parallel()
	s := opened(t, Config{Driver: Postgres, URL: storagetest.PostgresURL(t), MaxConns: 4})
	c := inhabited(t, s)
	first := submitted(t, s, c, 1)
	var mark job.EventMark
	read := func() (ids []job.ID) {
		t.Helper()
		events, upTo, err := s.Events(t.Context(), control.EventQuery{All: true, After: mark})
		if err != nil {
			t.Fatal(err)
		}
		mark = upTo
		for _, e := range events {
			ids = append(ids, e.JobID)
		}
		return ids
	}
	var second job.ID
	err := s.write.WithContext(t.Context()).Transaction(func(tx *gorm.DB) error {
		if err := noteEvent(tx, jobRow{ID: string(first), AccountID: c.AccountID}, job.EventProgress, "{}"); err != nil {
			return err
		}
		second = submitted(t, s, c, 2) // in a transaction of its own, and done before this one
		// Another test's transaction may be open in the same server, so the first may take its time.
		var ids []job.ID
		for deadline := time.Now().Add(2 * time.Minute); len(ids) == 0 && time.Now().Before(deadline); {
			ids = read()
		}
		if ids = append(ids, read()...); len(ids) != 1 || ids[0] != first {
			t.Errorf("while a transaction is open: %v, want what came before it", ids)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(2 * time.Minute)
	var ids []job.ID
	for len(ids) < 2 && time.Now().Before(deadline) {
		ids = append(ids, read()...)
	}
	if len(ids) != 2 || ids[0] != first || ids[1] != second {
		t.Errorf("afterwards: %v, want both, the older transaction first", ids)
	}
}

func TestEventsAreReadFromTheirIndexes(t *testing.T) {
	t.Parallel()
	s := opened(t, Config{Driver: SQLite, Path: filepath.Join(t.TempDir(), "waybill.db")})
	c := inhabited(t, s)
	id := submitted(t, s, c, 1)
	scope := job.Scope{AccountID: c.AccountID}
	ask := func(q control.EventQuery) func() {
		return func() {
			q.After = job.EventMark{Seq: 1}
			if _, _, err := s.Events(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, one := range map[string]struct {
		ask   func()
		index string
	}{
		"account": {ask(control.EventQuery{Scope: scope}), "job_events_account (account_id=? AND tx=? AND seq>? AND seq<?)"},
		"owner":   {ask(control.EventQuery{Scope: job.Scope{AccountID: 1, OwnerID: 1}}), "job_events_account (account_id=? AND tx=? AND seq>? AND seq<?)"},
		"config":  {ask(control.EventQuery{Scope: scope, Of: c.ID}), "job_events_account (account_id=? AND tx=? AND seq>? AND seq<?)"},
		"job":     {ask(control.EventQuery{Scope: scope, Job: id}), "job_events_job (job_id=? AND tx=? AND seq>? AND seq<?)"},
		"all":     {ask(control.EventQuery{All: true}), "job_events_order (tx=? AND seq>? AND seq<?)"},
		"last": {func() {
			if _, _, err := s.LastStatus(t.Context(), 1, id); err != nil {
				t.Fatal(err)
			}
		}, "job_events_job (job_id=?"},
	} {
		plan := plans(t, s, one.ask)
		if !strings.Contains(plan, one.index) || strings.Contains(plan, "SCAN e\n") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s: not from %s:\n%s", name, one.index, plan)
		}
	}
}

func TestPostgresReadsEventsFromTheirIndexes(t *testing.T) {
	t.Parallel()
	s := opened(t, Config{Driver: Postgres, URL: storagetest.PostgresURL(t), MaxConns: 4})
	c := inhabited(t, s)
	id := submitted(t, s, c, 1)
	db := s.write.WithContext(t.Context())
	// Many jobs of another account, so that a scan would cost.
	if _, err := run(db, `INSERT INTO job_events (account_id, job_id, kind, data, at)
		SELECT ?, ?, 'status', '{}', 0 FROM generate_series(1, 20000) n`, c.AccountID, string(id)); err != nil {
		t.Fatal(err)
	}
	if _, err := run(db, "ANALYZE job_events"); err != nil {
		t.Fatal(err)
	}
	end, err := s.LatestEvent(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	after := job.EventMark{Tx: end.Tx, Seq: 19_990}
	scope := job.Scope{AccountID: c.AccountID}
	for name, one := range map[string]struct {
		query control.EventQuery
		index string
	}{
		"account": {control.EventQuery{Scope: scope, After: after}, "job_events_"},
		"job":     {control.EventQuery{Scope: scope, Job: id, After: after}, "job_events_"},
		"all":     {control.EventQuery{All: true, After: after}, "job_events_order"},
	} {
		query, args := s.eventsQuery(one.query, end, 500)
		lines, err := many[string](db, "EXPLAIN "+query, args...)
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		if !strings.Contains(plan, one.index) || strings.Contains(plan, "Seq Scan on job_events") || strings.Contains(plan, "Sort") {
			t.Errorf("%s: not from %s:\n%s", name, one.index, plan)
		}
	}
}
