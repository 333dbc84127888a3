// Package seed fills a migrated database with jobs by the hundred thousand, for measurements and for tests of plans: statements that
// make rows out of numbers, the same ones for the same number. It imports nothing of Waybill.
package seed

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// What is made: configs per account, owners per account, and jobs that wait.
const (
	Configs    = 100
	Owners     = 10
	Unfinished = 200
	Errors     = 10_000 // of the job WithErrors
)

// base is when the first job was submitted, in microseconds: a job a second follows.
const base = 1_700_000_000_000_000

// ID is the id of the i-th job, counted from 1.
func ID(i int) string { return fmt.Sprintf("%08x%016x", base/1_000_000+i, i) }

// Time is when it was submitted, in microseconds.
func Time(i int) int64 { return base + int64(i)*1_000_000 }

// WithErrors and WithRetry are the numbers of a job with Errors record errors, and of one that was retried. Both are the first account's.
const (
	WithErrors = 203
	WithRetry  = 349
)

// Config is the id of the k-th config of an account, Owner that of its k-th owner.
func Config(account int64, k int) int64 { return 1_000_000 + account*1000 + int64(k) }

// Owner is the id of the k-th owner of jobs in an account.
func Owner(account int64, k int) int64 { return account*1000 + int64(k) }

// Jobs fills the tables: four of five jobs are the first account's, most of the others the second's. Nine of ten completed, the
// last ones wait.
func Jobs(ctx context.Context, pool *sql.DB, postgres bool, accounts [3]int64, n int) error {
	db, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // back to the pool
	if postgres {
		if _, err := db.ExecContext(ctx, "SET statement_timeout = 0"); err != nil {
			return err
		}
		defer db.ExecContext(context.WithoutCancel(ctx), "RESET statement_timeout") //nolint:errcheck // best effort
	}
	words := map[string]string{
		"{n}": fmt.Sprint(n), "{series}": "(WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {upto}) SELECT i FROM s) AS g",
		"{live}": fmt.Sprintf("i > %d", n-Unfinished), "{at}": fmt.Sprintf("%d + i * 1000000", base),
		"{account}": fmt.Sprintf("CASE WHEN i %% 100 < 80 THEN %d WHEN i %% 100 < 95 THEN %d ELSE %d END", accounts[0], accounts[1], accounts[2]),
		"{k}":       fmt.Sprintf("((i * 31 + i / 100 * 7) %% %d)", Configs), "{owner}": fmt.Sprintf("i / 100 %% %d", Owners),
		"{mark}": "(i * 7919 % 1000)", "{id}": hex(postgres, "i"), "{parent}": hex(postgres, "i - 1"), "{bad}": fmt.Sprint(WithErrors),
	}
	if postgres {
		words["{series}"] = "generate_series(CAST(1 AS bigint), {upto}) AS g (i)"
	}
	for _, account := range accounts {
		if err := configs(ctx, db, account); err != nil {
			return err
		}
	}
	pairs := []string{"{upto}", fmt.Sprint(n)}
	for from, to := range words {
		pairs = append(pairs, from, to)
	}
	for _, statement := range statements {
		text := statement
		for range 3 { // words hold words
			text = strings.NewReplacer(pairs...).Replace(text)
		}
		if _, err := db.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("%.60s: %w", statement, err)
		}
	}
	analyze := "ANALYZE"
	if postgres {
		analyze = "VACUUM ANALYZE" // as autovacuum would have by the time a table is as large
	}
	_, err = db.ExecContext(ctx, analyze)
	return err
}

// hex is the SQL of an id, as ID makes it.
func hex(postgres bool, i string) string {
	if postgres {
		return fmt.Sprintf("lpad(to_hex(CAST(%d + %s AS bigint)), 8, '0') || lpad(to_hex(CAST(%s AS bigint)), 16, '0')", base/1_000_000, i, i)
	}
	return fmt.Sprintf("printf('%%08x%%016x', %d + %s, %s)", base/1_000_000, i, i)
}

// configs makes the configs of an account, and the account where it is absent.
func configs(ctx context.Context, db *sql.Conn, account int64) error {
	if _, err := db.ExecContext(ctx, fmt.Sprintf(
		"INSERT INTO accounts (id, name, created_at) VALUES (%d, 'seeded %d', %d) ON CONFLICT DO NOTHING", account, account, int64(base))); err != nil {
		return err
	}
	for k := range Configs {
		_, err := db.ExecContext(ctx, fmt.Sprintf(`
			INSERT INTO job_configs (id, object_id, account_id, name, name_key, description, active, runtime, package_name, entry_point,
				destination_id, timeout, retry, on_loss, tags, labels, owner_id, owner_name, created_at, created_by_id, created_by_name,
				modified_at, modified_by_id, modified_by_name, rules)
			VALUES (%d, '%024x', %d, 'config %d', 'config %d', '', true, '{}', 'package%d.djar', 'main.py', %d, 0, '{}', '', '[]', '{}', %d,
				'owner', %d, 0, '', %d, 0, '', '{}')`,
			Config(account, k), Config(account, k), account, k, k, k%20, 1+k%5, Owner(account, k%Owners), int64(base), int64(base)))
		if err != nil {
			return err
		}
	}
	return nil
}

var statements = []string{
	`INSERT INTO jobs (id, account_id, config_id, config_name, owner_id, run_number, status, reason, taken, fence, change, worker, spec,
		has_inputs, package_name, entry_point, destination_id, tags, attempt, failures, return_code, message, scheduled_at, received_at,
		started_at, finished_at, submitted_by_id, submitted_by_name, stopped_by_id, stopped_by_name, retry_of, root, retry_number,
		resolved_by, rolled_up, unreachable, written_at, errors_open, records_read, records_written)
	SELECT {id}, {account}, 1000000 + 1000 * ({account}) + {k}, 'config ' || {k}, 1000 * ({account}) + {owner}, i,
		CASE WHEN {live} THEN 'queued' WHEN {mark} < 900 THEN 'completed' WHEN {mark} < 965 THEN 'failed' ELSE 'cancelled' END,
		CASE WHEN {live} THEN '' WHEN {mark} < 900 THEN '' WHEN {mark} < 950 THEN 'error' WHEN {mark} < 965 THEN 'timeout' ELSE 'stopped' END,
		NOT ({live}) AND ({mark} < 965 OR {mark} >= 985), i, 5, 'worker-' || (i % 4), '{"packageVersion":1}', false,
		'package' || ({k} % 20) || '.djar', 'main.py', 1 + {k} % 5,
		CASE WHEN i % 10 = 0 THEN '["nightly"]' WHEN i % 100 = 1 THEN '["audit"]' WHEN i % 2000 = 7 THEN '["rare"]' ELSE '[]' END,
		1, 0, CASE WHEN {live} THEN NULL ELSE 0 END, '', {at}, CASE WHEN {live} THEN NULL ELSE {at} + 100000 END,
		CASE WHEN {live} THEN NULL ELSE {at} + 200000 END, CASE WHEN {live} THEN NULL ELSE {at} + 2000000 END,
		1000 * ({account}) + {owner}, 'owner ' || ({owner}), 0, '', CASE WHEN i % 100 = 50 THEN {parent} ELSE '' END,
		CASE WHEN i % 100 = 50 THEN {parent} ELSE '' END, CASE WHEN i % 100 = 50 THEN 1 ELSE 0 END, '', i % 100 = 50, false, {at},
		CASE WHEN i = {bad} THEN 10000 ELSE 0 END, 100, 100
	FROM {series}`,
	`INSERT INTO job_tags (job_id, tag, account_id)
	SELECT id, CASE tags WHEN '["nightly"]' THEN 'nightly' WHEN '["audit"]' THEN 'audit' ELSE 'rare' END, account_id FROM jobs WHERE tags <> '[]'`,
	`INSERT INTO job_attempts (job_id, number, fence, worker, started_at, finished_at, return_code, reason, message)
	SELECT id, 1, fence, worker, started_at, finished_at, 0, reason, '' FROM jobs WHERE started_at IS NOT NULL`,
	`INSERT INTO job_steps (job_id, position, name, status, attempt, started_at, finished_at, return_code, records_read, records_written,
		records_failed, message)
	SELECT id, 0, 'main', status, 1, started_at, finished_at, 0, 100, 100, 0, '' FROM jobs WHERE started_at IS NOT NULL AND run_number % 10 = 3`,
	`INSERT INTO job_events (account_id, job_id, kind, data, at)
	SELECT account_id, id, 'status', '{"status":"queued"}', scheduled_at FROM jobs WHERE run_number > {n} - 20000`,
	errorsOf("10000", "run_number = {bad}"),
	errorsOf("20", "run_number % 500 = 3 AND run_number <> {bad} AND started_at IS NOT NULL"),
}

// errorsOf makes so many record errors of each job for which the condition holds.
func errorsOf(many, condition string) string {
	return `INSERT INTO job_errors (job_id, record_id, attempt, step, code, message, trace_key, classification, occurred_at, resolved_how,
		resolved_by_id, resolved_by_name, retry_job, has_data)
	SELECT j.id, 'record ' || r.n, 1, 'main', 'E1', 'failed', '', '', j.started_at + r.n, '', 0, '', '', false
	FROM (SELECT id, started_at FROM jobs WHERE ` + condition + `) AS j,
		(WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < ` + many + `) SELECT n FROM s) AS r`
}
