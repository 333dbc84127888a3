// Package sqlscript runs SQL scripts against PostgreSQL, MySQL (and MariaDB) and SQLite. It is what `waybill run-sql` does, a
// process of its own in a job's sandbox (ADR 0009).
//
// It imports the standard library, pgx, go-sql-driver/mysql and modernc.org/sqlite.
package sqlscript
