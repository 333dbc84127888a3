-- Indexes over the jobs that ended: by when they began, of a status and of a job config and a status, in the order of lists that are sorted
-- by it, and by run number. Its twin is migrations/postgres/00027_started.sql.
--
-- A job is in them once it has ended. What is sorted by is what lists are sorted by: those that never began come first.

-- +goose Up
CREATE INDEX jobs_started ON jobs (account_id, status, coalesce(started_at, -9223372036854775807), id)
    WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_config_started ON jobs (account_id, config_id, status, coalesce(started_at, -9223372036854775807), id)
    WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_config_run ON jobs (account_id, config_id, run_number)
    WHERE finished_at IS NOT NULL;

-- +goose Down
DROP INDEX jobs_config_run;
DROP INDEX jobs_config_started;
DROP INDEX jobs_started;
