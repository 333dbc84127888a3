package standalone

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// testServer is the URL of a PostgreSQL server; without one the test is left out.
func testServer(t testing.TB) string {
	t.Helper()
	server := os.Getenv("WAYBILL_TEST_POSTGRES")
	if server == "" {
		t.Skip("WAYBILL_TEST_POSTGRES is not set; test/bin/with-postgres sets it")
	}
	return server
}

var databases atomic.Int64

// ownDatabase makes an empty database, as Waybill's would be, and drops it with the engine's at the end of the test.
func ownDatabase(t testing.TB) (*pgx.Conn, string) {
	t.Helper()
	server := testServer(t)
	name := fmt.Sprintf("engine_%d_%d", os.Getpid(), databases.Add(1))
	admin, err := pgx.Connect(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	execute(t, admin, "CREATE DATABASE "+name)
	t.Cleanup(func() {
		for _, suffix := range []string{"", storeSuffix, visibilitySuffix} {
			if _, err := admin.Exec(context.Background(), "DROP DATABASE IF EXISTS "+name+suffix+" WITH (FORCE)"); err != nil {
				t.Error(err)
			}
		}
		_ = admin.Close(context.Background())
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return admin, u.String()
}

func execute(t testing.TB, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// in opens a database beside that of a URL.
func in(t *testing.T, at, suffix string) *pgx.Conn {
	t.Helper()
	c, err := pgx.ParseConfig(at)
	if err != nil {
		t.Fatal(err)
	}
	c.Database += suffix
	conn, err := pgx.ConnectConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func onPostgres(dir, at string) Config {
	c := freePorts(dir)
	c.Postgres = &Postgres{URL: at}
	return c
}

func number(t *testing.T, conn *pgx.Conn, query string) (n int) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func TestEngineOnPostgres(t *testing.T) {
	_, at := ownDatabase(t)
	dir := t.TempDir()

	// There was an SQLite engine before.
	e := start(t, freePorts(dir))
	if err := runGreet(t.Context(), dial(t, e), "in-the-file"); err != nil {
		t.Fatal(err)
	}
	stop(t, e)

	e = start(t, onPostgres(dir, at))
	if !e.Rebuilt() {
		t.Error("the engine does not say that the file's workflows are gone")
	}
	if _, err := os.Stat(filepath.Join(dir, "engine", databaseName)); !os.IsNotExist(err) {
		t.Errorf("the file is still where the next start on SQLite would take it: %v", err)
	}
	c := dial(t, e)
	if err := runGreet(t.Context(), c, "first"); err != nil {
		t.Fatal(err)
	}
	t.Run("search attributes can be queried", func(t *testing.T) { wantListed(t, c, "first") })
	t.Run("the web UI reaches the server", func(t *testing.T) { wantAPI(t, e) })
	t.Run("a second engine on the databases is refused", func(t *testing.T) {
		other := onPostgres(t.TempDir(), at)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		second, err := Start(ctx, other)
		if err == nil {
			stop(t, second)
			t.Fatal("two engines run on the same databases")
		}
		for _, part := range []string{"another Waybill runs its Temporal server on the database", "session", "from 127.0.0.1", storeFlag, "--temporal"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
	})
	stop(t, e)

	e = start(t, onPostgres(dir, at))
	if e.Rebuilt() {
		t.Error("the second start says that workflows are gone")
	}
	if err := wantHello(t.Context(), dial(t, e).GetWorkflow(t.Context(), "first", "")); err != nil {
		t.Errorf("history after the restart: %v", err)
	}
	store := in(t, at, storeSuffix)
	if n := number(t, store, "SELECT count(*) FROM shards"); n != postgresShards {
		t.Errorf("the engine has %d shards, want %d", n, postgresShards)
	}
	for _, suffix := range []string{storeSuffix, visibilitySuffix} {
		limit := 5*postgresConns + 1
		n := number(t, store, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'waybill engine' AND datname = '"+store.Config().Database[:len(store.Config().Database)-len(storeSuffix)]+suffix+"'")
		if n == 0 || n > limit {
			t.Errorf("the engine has %d connections to %s, want 1 to %d", n, suffix, limit)
		}
	}
}

// theHold is the lock on the engine's databases, in that which is connected to: other tests have engines on the same server.
var theHold = fmt.Sprintf(`locktype = 'advisory' AND ((classid::bigint << 32) | objid::bigint) = %d
	AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`, holdKey)

// TestEngineOutlivesItsDatabaseConnections is a restart of the database server as the engine sees it.
func TestEngineOutlivesItsDatabaseConnections(t *testing.T) {
	admin, at := ownDatabase(t)
	e := start(t, onPostgres(t.TempDir(), at))
	c := dial(t, e)
	if err := runGreet(t.Context(), c, "before"); err != nil {
		t.Fatal(err)
	}
	store := in(t, at, storeSuffix)
	for range 3 { // those of this engine: other tests run theirs on the same server
		execute(t, admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'waybill engine' AND datname IN ('"+
			store.Config().Database+"', '"+strings.TrimSuffix(store.Config().Database, storeSuffix)+visibilitySuffix+"')")
	}
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if err = runGreet(t.Context(), c, fmt.Sprint("after-", time.Now().UnixNano())); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	// The lock went with its connection and must be there again.
	for deadline := time.Now().Add(time.Minute); ; {
		if number(t, store, "SELECT count(*) FROM pg_locks WHERE granted AND "+theHold) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the engine does not hold its database any more")
		}
		time.Sleep(100 * time.Millisecond) // polling
	}
	select {
	case err := <-e.Failed():
		t.Errorf("the engine failed: %v", err)
	default:
	}
}

func TestEngineEndsWhenItsDatabasesAreAnothers(t *testing.T) {
	_, at := ownDatabase(t)
	e := start(t, onPostgres(t.TempDir(), at))
	thief, store := in(t, at, storeSuffix), in(t, at, storeSuffix)
	// The lock is waited for in the queue of the database, so the thief has it the moment the engine's connection is cut.
	got := make(chan error, 1)
	go func() {
		_, err := thief.Exec(context.Background(), "SELECT pg_advisory_lock($1)", int64(holdKey))
		got <- err
	}()
	for number(t, store, "SELECT count(*) FROM pg_locks WHERE NOT granted AND "+theHold) == 0 {
		time.Sleep(10 * time.Millisecond) // polling
	}
	execute(t, store, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE granted AND "+theHold)
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-e.Failed():
		if !strings.Contains(err.Error(), "another's now") {
			t.Errorf("the engine fails with %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the engine goes on although another has its databases")
	}
}

func TestSchemaIsUpgradedStepByStep(t *testing.T) {
	admin, at := ownDatabase(t)
	s, err := newPostgresStore(Postgres{URL: at}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.makeDatabases(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	store, visibility := in(t, at, storeSuffix), in(t, at, visibilitySuffix)
	steps := number(t, store, "SELECT count(*) FROM schema_update_history")
	if steps < 10 {
		t.Errorf("the schema was made in %d steps", steps)
	}

	t.Run("an older one is upgraded", func(t *testing.T) {
		// As the tables were one step earlier: without the newest index of lists.
		execute(t, visibility, "UPDATE schema_version SET curr_version = '1.13'")
		execute(t, visibility, "DROP INDEX by_temporal_external_payload_count")
		if err := s.prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := number(t, visibility, "SELECT count(*) FROM pg_indexes WHERE indexname = 'by_temporal_external_payload_count'"); n != 1 {
			t.Error("the step was not made")
		}
		if n := number(t, visibility, "SELECT count(*) FROM schema_version WHERE curr_version = '1.14'"); n != 1 {
			t.Error("the step was not noted")
		}
	})
	t.Run("what fails leaves nothing behind", func(t *testing.T) {
		execute(t, store, "UPDATE schema_version SET curr_version = '0.0'")
		execute(t, store, "ALTER TABLE namespace_metadata ADD CONSTRAINT one CHECK (partition_id <> 54321) NOT VALID")
		execute(t, store, "DELETE FROM namespace_metadata")
		execute(t, store, "DROP TABLE queue_metadata")
		if err := s.prepare(t.Context()); err == nil || !strings.Contains(err.Error(), storeFlag) {
			t.Fatalf("the upgrade ends with %v", err)
		}
		if n := number(t, store, "SELECT count(*) FROM pg_class WHERE relname = 'queue_metadata'"); n != 0 {
			t.Error("half an upgrade is in the database")
		}
	})
	t.Run("a newer one is refused", func(t *testing.T) {
		execute(t, store, "UPDATE schema_version SET curr_version = '1.100'")
		err := s.prepare(t.Context())
		if err == nil || !strings.Contains(err.Error(), "version 1.100") || !strings.Contains(err.Error(), "newer Waybill") {
			t.Errorf("the start ends with %v", err)
		}
	})
	t.Run("somebody else's tables are refused", func(t *testing.T) {
		for _, statement := range []string{"DROP SCHEMA public CASCADE", "CREATE SCHEMA public", "CREATE TABLE theirs (id int)"} {
			execute(t, store, statement)
		}
		if err := s.prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "tables of something else") {
			t.Errorf("the start ends with %v", err)
		}
	})
	t.Run("swapped databases are refused", func(t *testing.T) {
		for _, statement := range []string{"DROP SCHEMA public CASCADE", "CREATE SCHEMA public"} {
			execute(t, store, statement)
		}
		swapped, err := newPostgresStore(Postgres{URL: at, Store: s.visibility, Visibility: s.store}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := swapped.prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "tables of something else") {
			t.Errorf("the start ends with %v", err)
		}
	})
	_ = admin
}

func TestDatabasesThatMayNotBeMade(t *testing.T) {
	admin, at := ownDatabase(t)
	role := "poor_" + strings.ReplaceAll(fmt.Sprint(os.Getpid()), "-", "")
	execute(t, admin, "CREATE ROLE "+role+" LOGIN")
	t.Cleanup(func() {
		c, err := pgx.ParseConfig(at)
		if err != nil {
			t.Fatal(err)
		}
		for _, suffix := range []string{storeSuffix, visibilitySuffix} {
			execute(t, admin, "DROP DATABASE IF EXISTS "+c.Database+suffix+" WITH (FORCE)")
		}
		execute(t, admin, "DROP ROLE "+role)
	})
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	_, err = Start(t.Context(), onPostgres(t.TempDir(), u.String()))
	if err == nil {
		t.Fatal("a user who may not make databases has made some")
	}
	_, orders, found := strings.Cut(err.Error(), "of the server run: ")
	if !found {
		t.Fatalf("the error does not say what to do: %v", err)
	}
	for order := range strings.SplitSeq(orders, ";") { // exactly what it says
		if order = strings.TrimSpace(order); order != "" {
			execute(t, admin, order)
		}
	}
	e := start(t, onPostgres(t.TempDir(), u.String()))
	if err := runGreet(t.Context(), dial(t, e), "first"); err != nil {
		t.Error(err)
	}
	stop(t, e)
}

func TestPostgresNames(t *testing.T) {
	for name, c := range map[string]struct {
		p    Postgres
		want string
	}{
		"not a URL":    {Postgres{URL: "postgres://user:hidden@host:port/x"}, "not one that PostgreSQL takes"},
		"the same":     {Postgres{URL: "postgres://h/w", Store: "x", Visibility: "x"}, "two databases of their own"},
		"Waybill's":    {Postgres{URL: "postgres://h/w", Store: "w"}, "two databases of their own"},
		"too long":     {Postgres{URL: "postgres://h/" + strings.Repeat("n", 50)}, visibilityFlag},
		"long, but OK": {Postgres{URL: "postgres://h/" + strings.Repeat("n", 50), Visibility: "v"}, ""},
	} {
		_, err := newPostgresStore(c.p, slog.New(slog.DiscardHandler))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkWorkflowOnPostgres measures what BenchmarkWorkflow does, by shards and connections.
func BenchmarkWorkflowOnPostgres(b *testing.B) {
	for _, shards := range []int32{1, 4, 16} {
		for _, conns := range []int{5, 20} {
			for _, clients := range []int{1, 32} {
				b.Run(fmt.Sprintf("shards=%d/conns=%d/clients=%d", shards, conns, clients), func(b *testing.B) {
					_, at := ownDatabase(b)
					cfg := onPostgres(b.TempDir(), at)
					cfg.Postgres.Conns, cfg.Postgres.shards = conns, shards
					benchmarkWorkflow(b, cfg, clients)
				})
			}
		}
	}
}
