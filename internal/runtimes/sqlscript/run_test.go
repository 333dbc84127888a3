package sqlscript

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// eachDatabase runs a test on all of them. SQLite is always there.
func eachDatabase(t *testing.T, test func(t *testing.T, d Dialect, url string)) {
	for _, c := range []struct {
		name, variable, with string
		dialect              Dialect
	}{{"SQLite", "", "", SQLite}, {"PostgreSQL", "WAYBILL_TEST_POSTGRES", "postgres", PostgreSQL}, {"MySQL", "WAYBILL_TEST_MYSQL", "mariadb", MySQL}} {
		t.Run(c.name, func(t *testing.T) {
			url := "sqlite:" + filepath.Join(t.TempDir(), "test.db")
			if c.variable != "" {
				if url = os.Getenv(c.variable); url == "" {
					t.Skipf("%s is not set; run it under test/bin/with-%s", c.variable, c.with)
				}
			}
			test(t, c.dialect, url)
		})
	}
}

type outcome struct {
	log, events string
	out         string // folder
	err         error
}

var times = regexp.MustCompile(`, [0-9.]+(µs|ms|s|m[0-9.]+s)\n`)

func execute(t *testing.T, ctx context.Context, url, script string, macros map[string]string) outcome {
	t.Helper()
	dir := t.TempDir()
	file, tell, out := filepath.Join(dir, "load.sql"), filepath.Join(dir, "events"), filepath.Join(dir, "out")
	for name, text := range map[string]string{file: script, tell: ""} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	r := &run{out: &log, file: file, events: openEvents(tell), value: func(name string) (string, bool) {
		switch name {
		case "LOCAL_JOB_OUT_DIR":
			return out, true
		case "DATABASE_URL":
			return url, url != ""
		}
		v, ok := macros[name]
		return v, ok
	}}
	err := r.do(ctx)
	r.events.close()
	told, readErr := os.ReadFile(tell)
	if readErr != nil {
		t.Fatal(readErr)
	}
	return outcome{times.ReplaceAllString(log.String(), ", T\n"), string(told), out, err}
}

func TestAScriptRuns(t *testing.T) {
	eachDatabase(t, func(t *testing.T, d Dialect, url string) {
		nowish := map[Dialect]string{SQLite: "'now'", PostgreSQL: "now()", MySQL: "now()"}[d]
		script := `-- waybill: rows=2
DROP TABLE IF EXISTS orders;
CREATE TABLE orders (id INTEGER PRIMARY KEY, name VARCHAR(100), made TEXT);
INSERT INTO orders VALUES (1, :NAME, ` + nowish + `), (2, 'a;b', NULL), (3, NULL, NULL);
UPDATE orders SET name = 'x' WHERE id = :ID;
SELECT id, name FROM orders ORDER BY id;
-- waybill: csv=reports/orders.csv
SELECT id, name FROM orders ORDER BY id`
		o := execute(t, t.Context(), url, script, map[string]string{"NAME": "it's'); DROP TABLE orders; --", "ID": "2"})
		want := `-- statement 4 of 6, line 5: UPDATE orders SET name = 'x' WHERE id = :ID
   1 row affected, T
-- statement 5 of 6, line 6: SELECT id, name FROM orders ORDER BY id
   id | name
   1 | it's'); DROP TABLE orders; --
   2 | x
   ...
   3 rows, T
-- statement 6 of 6, line 8: SELECT id, name FROM orders ORDER BY id
   3 rows to reports/orders.csv, T
-- committed 6 statements
`
		if o.err != nil || !strings.HasSuffix(o.log, want) {
			t.Errorf("dialect %d: %v, log:\n%s", d, o.err, o.log)
		}
		csv, err := os.ReadFile(filepath.Join(o.out, "reports", "orders.csv"))
		if err != nil || string(csv) != "id,name\n1,it's'); DROP TABLE orders; --\n2,x\n3,\n" {
			t.Errorf("dialect %d: %v, csv:\n%s", d, err, csv)
		}
		for _, event := range []string{`"name":"load.sql","status":"started"`, `"done":6,"total":6`, `"failed":0,"read":6,"type":"counters","written":4`, `"status":"finished"`} {
			if !strings.Contains(strings.ReplaceAll(o.events, `,"type":"step"`, ""), event) && !strings.Contains(o.events, event) {
				t.Errorf("dialect %d: no %s in\n%s", d, event, o.events)
			}
		}
	})
}

func TestAScriptIsOneTransactionUnlessItSaysOtherwise(t *testing.T) {
	eachDatabase(t, func(t *testing.T, d Dialect, url string) {
		if o := execute(t, t.Context(), url, "DROP TABLE IF EXISTS t; CREATE TABLE t (n INTEGER)", nil); o.err != nil {
			t.Fatal(o.err)
		}
		count := func() string {
			o := execute(t, t.Context(), url, "SELECT count(*) AS c FROM t", nil)
			return strings.Split(o.log, "\n")[2]
		}
		script := "INSERT INTO t VALUES (1);\n\nINSERT INTO t\n VALUES ('x', 2);\nINSERT INTO t VALUES (3);"
		o := execute(t, t.Context(), url, script, nil)
		if o.err == nil || !strings.Contains(o.err.Error(), "statement 2 of 3, line 3: ") && !strings.Contains(o.err.Error(), "statement 2 of 3, line 4: ") || count() != "   0" {
			t.Errorf("dialect %d: %v, %s rows", d, o.err, count())
		}
		if !strings.Contains(o.log, "-- rolled back") || !strings.Contains(o.events, `"status":"failed"`) {
			t.Errorf("dialect %d: log:\n%s\nevents:\n%s", d, o.log, o.events)
		}
		if o = execute(t, t.Context(), url, "-- waybill: transaction=none\n"+script, nil); o.err == nil || count() != "   1" {
			t.Errorf("dialect %d: %v, %s rows", d, o.err, count())
		}
		if o = execute(t, t.Context(), url, "INSERT INTO t VALUES (9);\nCOMMIT;", nil); o.err == nil || !strings.Contains(o.err.Error(), "line 2: COMMIT in a script that is one transaction") || count() != "   1" {
			t.Errorf("dialect %d: %v", d, o.err)
		}
		own := "-- waybill: transaction=none\nBEGIN;\nINSERT INTO t VALUES (4);\nROLLBACK;\nINSERT INTO t VALUES (5);"
		if o = execute(t, t.Context(), url, own, nil); o.err != nil || count() != "   2" {
			t.Errorf("dialect %d: %v, %s rows", d, o.err, count())
		}
	})
}

func TestBodiesOfTriggersAndRoutinesRun(t *testing.T) {
	eachDatabase(t, func(t *testing.T, d Dialect, url string) {
		script := map[Dialect]string{
			SQLite: `CREATE TABLE a (n INTEGER); CREATE TABLE b (n INTEGER);
CREATE TRIGGER copy AFTER INSERT ON a BEGIN INSERT INTO b VALUES (CASE WHEN new.n > 1 THEN 2 END); UPDATE b SET n = n + 1; END;
INSERT INTO a VALUES (5); SELECT n FROM b;`,
			PostgreSQL: `CREATE TEMP TABLE b (n int);
CREATE OR REPLACE FUNCTION pg_temp.three() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN RAISE NOTICE 'told; by it'; RETURN 3; END; $f$;
DO $$ BEGIN INSERT INTO b VALUES (pg_temp.three()); END $$;
SELECT n FROM b;`,
			MySQL: `DROP PROCEDURE IF EXISTS p;
CREATE PROCEDURE p() BEGIN DECLARE i INT DEFAULT 0; WHILE i < 3 DO SET i = i + 1; END WHILE; SELECT i AS n; END;
CALL p();`,
		}[d]
		o := execute(t, t.Context(), url, script, nil)
		if o.err != nil || !strings.Contains(o.log, "   n\n   3\n   1 row, T\n") {
			t.Errorf("dialect %d: %v, log:\n%s", d, o.err, o.log)
		}
		if d == PostgreSQL && !strings.Contains(o.log, "   NOTICE: told; by it\n") {
			t.Errorf("no notice in\n%s", o.log)
		}
	})
}

func TestWhatIsWrongIsSaidAndNoPassword(t *testing.T) {
	const url = "postgres://user:hush%2Dhush@127.0.0.1:1/x?connect_timeout=1"
	for _, c := range []struct{ url, script, want string }{
		{"", "select 1", "the macro 'DATABASE_URL', which holds the database's URL, is not set"},
		{"", "-- waybill: database=OTHER\nselect 1", "the macro 'OTHER'"},
		{"oracle://x", "select 1", "macro 'DATABASE_URL': it is no URL of a known database"},
		{url, "select 1", "the database can not be reached"},
		{"mysql://user:hush%2Dhush@127.0.0.1:1/x", "select 1", "the database can not be reached"},
		{"postgres://user:hush-hush@ho st/x", "select 1", "no URL of a known database"},
		{"sqlite::memory:", "select 1;\nselect :NONE", "line 2: there is no macro 'NONE'"},
		{"sqlite::memory:", "-- waybill: transaction=half\nselect 1", "transaction is whole or none"},
		{"sqlite::memory:", "-- waybill: rows=many\nselect 1", "rows is a number"},
		{"sqlite::memory:", "-- waybill: cvs=x\nselect 1", "'-- waybill: cvs' in front of it is not known"},
		{"sqlite::memory:", "-- waybill: csv=../x\nselect 1", "csv=../x"},
		{"sqlite::memory:", "select 1;\n\nselect nothing", "statement 2 of 2, line 3: "},
		{"sqlite::memory:", "select 'a", "line 1: a string"},
	} {
		o := execute(t, t.Context(), c.url, c.script, nil)
		text := hideURL(fmt.Sprint(o.err), c.url)
		if o.err == nil || !strings.Contains(text, c.want) || strings.Contains(text+o.log+o.events, "hush") {
			t.Errorf("%q: %s, want %q; log:\n%s%s", c.script, text, c.want, o.log, o.events)
		}
	}
}

// A cancelled job does not wait for its statement.
func TestAStatementEndsWithItsJob(t *testing.T) {
	eachDatabase(t, func(t *testing.T, d Dialect, url string) {
		endless := map[Dialect]string{
			SQLite:     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
			PostgreSQL: "SELECT pg_sleep(600)", MySQL: "SELECT sleep(600)",
		}[d]
		ctx, cancel := context.WithCancel(t.Context())
		timer := time.AfterFunc(200*time.Millisecond, cancel)
		began := time.Now()
		if o := execute(t, ctx, url, endless, nil); o.err == nil || time.Since(began) > time.Minute {
			t.Errorf("dialect %d: %v after %s", d, o.err, time.Since(began))
		}
		timer.Stop()
		cancel()
	})
}

// Nor does the database go on with it: without a transaction it would keep what it did.
func TestTheDatabaseEndsTheStatementOfACancelledJob(t *testing.T) {
	eachDatabase(t, func(t *testing.T, d Dialect, url string) {
		endless := map[Dialect]string{PostgreSQL: "SELECT pg_sleep(600), 'unwanted'", MySQL: "SELECT benchmark(1000000000000, md5('x')), 'unwanted'"}[d]
		running := map[Dialect]string{
			PostgreSQL: "SELECT count(*) AS c FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%unwanted%' AND pid <> pg_backend_pid()",
			MySQL:      "SELECT count(*) AS c FROM information_schema.processlist WHERE info LIKE '%unwanted%' AND id <> connection_id()",
		}[d]
		if endless == "" {
			t.Skip("SQLite runs in the program itself")
		}
		count := func() string { return strings.Split(execute(t, t.Context(), url, running, nil).log, "\n")[2] }
		for _, head := range []string{"", "-- waybill: transaction=none\n"} {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- execute(t, ctx, url, head+endless, nil).err }()
			for deadline := time.Now().Add(30 * time.Second); count() != "   1"; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the statement does not begin")
				}
			}
			cancel()
			if err := <-ended; err == nil {
				t.Error("the script ended well")
			}
			if d == PostgreSQL && count() != "   0" { // the program would end here, and with it whatever still tells the server
				t.Fatalf("%sthe statement goes on when the script has ended", head)
			}
			for deadline := time.Now().Add(30 * time.Second); count() != "   0"; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%sthe statement goes on", head)
				}
			}
		}
	})
}
