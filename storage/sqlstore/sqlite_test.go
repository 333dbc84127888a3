package sqlstore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"waybill/internal/control"
	"waybill/internal/job"
)

func TestTheSQLiteFileIsPrivateWhateverItsName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"plain.db", "a?b#c%41 ü.db", "x&mode=memory.db"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		inhabited(t, opened(t, Config{Driver: SQLite, Path: path}))
		files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
		if err != nil || len(files) != 3 {
			t.Errorf("files = %v, %v, want the database, its log and its index", files, err)
		}
		for _, file := range files {
			info, err := os.Stat(file)
			if err != nil || info.Mode().Perm() != 0o600 || !strings.HasPrefix(file, path) {
				t.Errorf("%s has mode %v, %v, want 0600", file, info.Mode(), err)
			}
		}
	}
}

func TestWhatWasWrittenIsThereAfterReopening(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "waybill.db")
	first := opened(t, Config{Driver: SQLite, Path: path})
	c := inhabited(t, first)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); !os.IsNotExist(err) {
		t.Errorf("the log is left after a clean close: %v", err)
	}
	second := opened(t, Config{Driver: SQLite, Path: path})
	if err := second.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := second.Config(t.Context(), c.AccountID, c.ID); err != nil || got.Name != c.Name {
		t.Errorf("config = %+v, %v", got, err)
	}
}

func TestReadersDoNotWaitForTheWriterAndSeeCommittedRowsOnly(t *testing.T) {
	t.Parallel()
	s := opened(t, Config{Driver: SQLite, Path: filepath.Join(t.TempDir(), "waybill.db")})
	c := inhabited(t, s)
	err := s.transact(t.Context(), func(tx *gorm.DB) error {
		if _, err := run(tx, "UPDATE job_configs SET name = 'changed' WHERE id = ?", c.ID); err != nil {
			return err
		}
		// The transaction is open and holds the lock: were this read to wait for it, the test would never end.
		if got, err := s.Config(t.Context(), c.AccountID, c.ID); err != nil || got.Name != c.Name {
			t.Errorf("config = %q, %v, want the committed name", got.Name, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Config(t.Context(), c.AccountID, c.ID); err != nil || got.Name != "changed" {
		t.Errorf("config = %q, %v, want the new name", got.Name, err)
	}
}

func TestReadersCanNotWrite(t *testing.T) {
	t.Parallel()
	s := opened(t, Config{Driver: SQLite, Path: filepath.Join(t.TempDir(), "waybill.db")})
	c := inhabited(t, s)
	if _, err := run(s.read.WithContext(t.Context()), "DELETE FROM job_configs WHERE id = ?", c.ID); err == nil {
		t.Error("a reader deleted a row")
	}
}

func TestAConnectionKeepsItsStatementsWithinBounds(t *testing.T) {
	t.Parallel()
	s := opened(t, Config{Driver: SQLite, Path: filepath.Join(t.TempDir(), "waybill.db"), MaxConns: 1})
	c := inhabited(t, s)
	find := func(n int) {
		t.Helper()
		values := make([]any, n)
		for i := range values {
			values[i] = fmt.Sprint(i)
		}
		values[n-1] = c.Name
		q := job.Query{Scope: job.Scope{AccountID: c.AccountID}, Where: job.Compare{Property: "name", Op: job.In, Values: values}}
		found, err := s.Configs(t.Context(), q)
		if err != nil || len(found.Items) != 1 || found.Total != 1 {
			t.Fatalf("%d values: %+v, %v", n, found, err)
		}
	}
	kept := func() (statements int) {
		t.Helper()
		pool := s.pools[1]
		conn, err := pool.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.Raw(func(c any) error { statements = len(c.(*cachingConn).idle); return nil }); err != nil {
			t.Fatal(err)
		}
		return statements
	}
	find(1)
	few := kept()
	find(1)
	if again := kept(); again != few || few == 0 {
		t.Errorf("kept %d statements, then %d, want the same ones used again", few, again)
	}
	for n := range cachedStatements { // two statements each
		find(n + 1)
	}
	if all := kept(); all != cachedStatements {
		t.Errorf("kept %d statements, want %d", all, cachedStatements)
	}
	find(1) // long dropped, and made anew
}

// plans collects how SQLite would run the queries that fn makes.
func plans(t *testing.T, s *Store, fn func()) string {
	t.Helper()
	var asked []string
	var values [][]any
	const name = "test:explain"
	if err := s.read.Callback().Row().After("gorm:row").Register(name, func(db *gorm.DB) {
		asked, values = append(asked, db.Statement.SQL.String()), append(values, db.Statement.Vars)
	}); err != nil {
		t.Fatal(err)
	}
	fn()
	if err := s.read.Callback().Row().Remove(name); err != nil {
		t.Fatal(err)
	}
	var plan strings.Builder
	for i, query := range asked {
		rows, err := s.pools[1].QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, values[i]...)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan.WriteString(detail + "\n")
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return plan.String()
}

func TestListsAreReadFromTheirIndexes(t *testing.T) {
	t.Parallel()
	s := opened(t, Config{Driver: SQLite, Path: filepath.Join(t.TempDir(), "waybill.db")})
	c := inhabited(t, s)
	ctx, account := t.Context(), job.Scope{AccountID: c.AccountID}
	j, _, err := s.Submit(ctx, control.Submission{Job: job.Job{ID: "69b9209b00000000000000c1", AccountID: c.AccountID, ConfigID: c.ID}})
	if err != nil {
		t.Fatal(err)
	}
	ended, _, err := s.Submit(ctx, control.Submission{Job: job.Job{ID: "69b9209b00000000000000c2", AccountID: c.AccountID, ConfigID: c.ID}})
	if err == nil {
		_, err = s.Settle(ctx, c.AccountID, ended.ID, 9, job.Outcome{Status: job.Failed, Reason: job.ReasonWorkerLost, At: time.Now()})
	}
	if err != nil {
		t.Fatal(err)
	}
	jobs := func(q job.Query) func() error {
		return func() error { _, _, err := s.Jobs(ctx, q); return err }
	}
	cursor := []string{"1", "69b9209b00000000000000c1"}
	eq := func(property string, value any) job.Expr {
		return job.Compare{Property: property, Op: job.Eq, Values: []any{value}}
	}
	for name, c := range map[string]struct {
		ask   func() error
		index string
		sorts bool // a few rows are sorted after they were found
	}{
		"all":         {ask: jobs(job.Query{Scope: account}), index: "jobs_scheduled", sorts: true}, // classes, that is, by which it counts
		"cursor":      {ask: jobs(job.Query{Scope: account, Keyset: true, After: cursor}), index: "jobs_scheduled (account_id=? AND (scheduled_at,id)<(?,?))"},
		"of an owner": {ask: jobs(job.Query{Scope: job.Scope{AccountID: 1, OwnerID: 2}}), index: "jobs_unfinished", sorts: true}, // nothing has ended
		"of an owner, since": {
			ask:   jobs(job.Query{Scope: job.Scope{AccountID: 1, OwnerID: 2, Configs: []int64{7}}, Where: job.Compare{Property: "scheduled", Op: job.Gte, Values: []any{"1700000000"}}}),
			index: "jobs_owner (account_id=? AND owner_id=? AND scheduled_at", sorts: true,
		},
		"of a config": {ask: jobs(job.Query{Scope: account, Where: eq("jobConfig.id", c.ID)}), index: "jobs_config_ended", sorts: true},
		"tagged":      {ask: jobs(job.Query{Scope: account, Where: eq("tags", "x")}), index: "job_tag_counts_tag (account_id=? AND tag=?)", sorts: true},
		"unfinished":  {ask: jobs(job.Query{Scope: account, Where: eq("status", job.Queued)}), index: "jobs_unfinished", sorts: true},
		"backlog":     {ask: func() error { _, err := s.Unfinished(ctx, time.Now(), "", 10); return err }, index: "jobs_unfinished"},
		"roll-ups":    {ask: func() error { _, err := s.NotRolledUp(ctx, time.Now(), control.RollUpMark{}, 10); return err }, index: "jobs_not_rolled_up", sorts: true},
		"family":      {ask: func() error { _, err := s.Family(ctx, j.AccountID, j.ID); return err }, index: "jobs_root", sorts: true},
		"configs":     {ask: func() error { _, err := s.Configs(ctx, job.Query{Scope: account}); return err }, index: "sqlite_autoindex_job_configs_2 (account_id=?)"},
	} {
		plan := plans(t, s, func() {
			if err := c.ask(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		if !strings.Contains(plan, c.index) {
			t.Errorf("%s does not use %s:\n%s", name, c.index, plan)
		}
		if strings.Contains(plan, "SCAN jobs\n") || (!c.sorts && strings.Contains(plan, "TEMP B-TREE")) {
			t.Errorf("%s reads more than its page:\n%s", name, plan)
		}
	}
}
