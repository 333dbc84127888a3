package sqlscript

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitTerm   = 128 + int(syscall.SIGTERM)
)

const maxScript = 64 << 20

// Main runs a script and returns its exit code. What it tells goes to out.
func Main(args []string, out io.Writer) int {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) != 1 {
		fmt.Fprintln(out, "waybill: SQL: a script takes no arguments; its values are macros, :NAME")
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	r := &run{out: out, file: args[0], events: openEvents(os.Getenv("WAYBILL_EVENTS")), value: os.LookupEnv}
	defer r.events.close()
	err := r.do(ctx)
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil:
		fmt.Fprintln(out, "waybill: SQL: ended by a signal; nothing of an open transaction stays")
		return exitTerm
	default:
		fmt.Fprintln(out, "waybill: SQL:", hideURL(err.Error(), r.address))
		return exitFailed
	}
}

// run is one run of a script.
type run struct {
	out     io.Writer
	file    string
	events  *events
	value   func(name string) (string, bool)
	address string
	options options

	read, written int64
}

// options are what the directives at the head of a script say.
type options struct {
	database string // name of the macro with the URL
	whole    bool   // one transaction around the whole script
	rows     int    // of a result, into the log
}

func (r *run) do(ctx context.Context) error {
	info, err := os.Stat(r.file)
	if err == nil && info.Size() > maxScript {
		err = fmt.Errorf("the script is larger than %d MiB", maxScript>>20)
	}
	if err != nil {
		return err
	}
	text, err := os.ReadFile(r.file)
	if err != nil {
		return err
	}
	if err := r.readOptions(string(text)); err != nil {
		return err
	}
	address, ok := r.value(r.options.database)
	if !ok || address == "" {
		return fmt.Errorf("the macro '%s', which holds the database's URL, is not set", r.options.database)
	}
	r.address = address
	db, d, err := open(ctx, address, r.out)
	if err != nil {
		return fmt.Errorf("macro '%s': %w", r.options.database, err)
	}
	defer db.Close()
	statements, err := Split(string(text), d)
	if err != nil {
		return err
	}
	if err := r.check(statements, d); err != nil {
		return err
	}
	step := filepath.Base(r.file)
	r.events.step(step, "started", "")
	if err := r.all(ctx, db, d, statements); err != nil {
		r.events.counters(r.read, 0, 1)
		r.events.step(step, "failed", hideURL(err.Error(), address))
		return err
	}
	r.events.counters(r.read, r.written, 0)
	r.events.step(step, "finished", "")
	return nil
}

// readOptions reads the directives in the comment lines at the head of the script. They say which database it is for, so
// they are read before its dialect is known.
func (r *run) readOptions(text string) (err error) {
	r.options = options{database: "DATABASE_URL", whole: true, rows: 100}
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		comment, ok := strings.CutPrefix(line, "--")
		if !ok {
			return nil
		}
		for name, value := range directives(comment) {
			switch name {
			case "database":
				r.options.database = value
			case "transaction":
				if value != "whole" && value != "none" {
					return fmt.Errorf("transaction is whole or none, not %q", value)
				}
				r.options.whole = value == "whole"
			case "rows":
				if r.options.rows, err = strconv.Atoi(value); err != nil || r.options.rows < 0 {
					return fmt.Errorf("rows is a number, not %q", value)
				}
			}
		}
	}
	return nil
}

// check refuses a script before anything of it is done.
func (r *run) check(statements []Statement, d Dialect) error {
	for _, st := range statements {
		if _, _, err := st.bind(d, r.value); err != nil {
			return err
		}
		for name := range st.Directives {
			switch name {
			case "database", "transaction", "rows", "csv":
			default:
				return fmt.Errorf("line %d: '-- waybill: %s' in front of it is not known; database, transaction, rows and csv are", st.Line, name)
			}
		}
		if d == PostgreSQL && st.copiesClient() { // the server would wait for rows, for ever
			return fmt.Errorf("line %d: COPY from STDIN or to STDOUT is not possible here; '-- waybill: csv=NAME' in front of a query writes its rows into a file", st.Line)
		}
		if r.options.whole && st.controlsTransaction() {
			return fmt.Errorf("line %d: %s in a script that is one transaction; '-- waybill: transaction=none' at its head makes it none", st.Line, st.first())
		}
	}
	return nil
}

// session is what statements are run on: a transaction, or a connection.
type session interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (r *run) all(ctx context.Context, db *sql.DB, d Dialect, statements []Statement) error {
	conn, err := db.Conn(ctx) // one for all: a script may set variables and make temporary tables
	if err != nil {
		return err
	}
	defer conn.Close()
	kill, err := killer(ctx, db, conn, d)
	if err != nil {
		return err
	}
	defer func() {
		if ctx.Err() != nil {
			kill()
		}
	}()
	if !r.options.whole {
		return r.each(ctx, conn, d, statements)
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if err := r.each(ctx, tx, d, statements); err != nil {
		fmt.Fprintln(r.out, "-- rolled back")
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("the transaction could not be committed: %w", err)
	}
	fmt.Fprintf(r.out, "-- committed %s\n", counted(int64(len(statements)), "statement"))
	return nil
}

func (r *run) each(ctx context.Context, on session, d Dialect, statements []Statement) error {
	for i, st := range statements {
		fmt.Fprintf(r.out, "-- statement %d of %d, line %d: %s\n", i+1, len(statements), st.Line, st.summary())
		began := time.Now()
		done, err := r.one(ctx, on, d, st)
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("statement %d of %d, line %d: %w", i+1, len(statements), lineOf(st, err), err)
		}
		fmt.Fprintf(r.out, "   %s, %s\n", done, time.Since(began).Round(100*time.Microsecond))
		r.events.progress(i+1, len(statements))
	}
	return nil
}

// one runs a statement and says what came of it.
func (r *run) one(ctx context.Context, on session, d Dialect, st Statement) (string, error) {
	text, args, err := st.bind(d, r.value)
	if err != nil {
		return "", err
	}
	csv := st.Directives["csv"]
	if !st.returnsRows() && csv == "" {
		result, err := on.ExecContext(ctx, text, args...)
		if err != nil {
			return "", err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return "done", nil // the database does not tell
		}
		if verb := st.first(); verb == "CREATE" || verb == "DROP" || verb == "ALTER" {
			return "done", nil // SQLite tells of the statement before
		}
		r.written += n
		return counted(n, "row") + " affected", nil
	}
	rows, err := on.QueryContext(ctx, text, args...)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	n, err := r.result(rows, csv)
	if err = errors.Join(err, rows.Err()); err != nil {
		return "", err
	}
	r.read += n
	done := counted(n, "row")
	if csv != "" {
		done += " to " + csv
	}
	return done, nil
}

func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
