-- Indexes over the jobs that ended: by when they began, of a status and of a job config and a status, in the order of lists that are sorted
-- by it, and by run number. Its twin is migrations/sqlite/00027_started.sql.
--
-- A job is in them once it has ended. What is sorted by is what lists are sorted by: those that never began come first.
-- No write of a start spared the indexes before, either: it changes reason, too, which the index jobs_lane_waiting looks at.
--
-- Statements stand alone here, because indexes are made without keeping writers out. Each may be done twice.

-- +goose NO TRANSACTION
-- +goose Up
-- An index that is made beside writers waits for transactions that are older; it holds nobody up meanwhile.
SET lock_timeout = '15min';
DROP INDEX CONCURRENTLY IF EXISTS jobs_started;
CREATE INDEX CONCURRENTLY jobs_started ON jobs (account_id, status, coalesce(started_at, -9223372036854775807), id)
    WHERE finished_at IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS jobs_config_started;
CREATE INDEX CONCURRENTLY jobs_config_started ON jobs (account_id, config_id, status, coalesce(started_at, -9223372036854775807), id)
    WHERE finished_at IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS jobs_config_run;
CREATE INDEX CONCURRENTLY jobs_config_run ON jobs (account_id, config_id, run_number)
    WHERE finished_at IS NOT NULL;
RESET lock_timeout;

-- +goose Down
SET lock_timeout = '15min';
DROP INDEX CONCURRENTLY IF EXISTS jobs_config_run;
DROP INDEX CONCURRENTLY IF EXISTS jobs_config_started;
DROP INDEX CONCURRENTLY IF EXISTS jobs_started;
RESET lock_timeout;
