-- Counters of the jobs that ended, and indexes for lists of them. Its twin is migrations/postgres/00015_counts.sql: same tables, columns
-- and indexes.
--
-- A job is counted when it ends and no more when it is deleted, by triggers: every program that writes jobs keeps the counters
-- right, also one of an older version that still runs while this one is rolled out. Jobs that have not ended are few and are
-- counted themselves, by the index jobs_unfinished. micros is the sum of their times from start to end.
--
-- SQLite has one writer at a time, so a change goes to its counter at once and job_count_changes stays empty.

-- +goose Up
CREATE TABLE job_counts (
    key               TEXT NOT NULL PRIMARY KEY,
    account_id        INTEGER NOT NULL,
    owner_id          INTEGER NOT NULL,
    config_id         INTEGER NOT NULL,
    config_name       TEXT NOT NULL,
    config_name_fold  TEXT,
    package_name      TEXT NOT NULL,
    package_name_fold TEXT,
    entry_point       TEXT NOT NULL,
    entry_point_fold  TEXT,
    submitted_by_id   INTEGER NOT NULL,
    submitted_by_name TEXT NOT NULL,
    submitted_by_fold TEXT,
    destination_id    INTEGER NOT NULL,
    status            TEXT NOT NULL,
    reason            TEXT NOT NULL,
    taken             INTEGER NOT NULL,
    jobs              INTEGER NOT NULL,
    micros            INTEGER NOT NULL
) STRICT;

CREATE INDEX job_counts_account ON job_counts (account_id);

CREATE TABLE job_count_changes (
    seq               INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id        INTEGER NOT NULL,
    owner_id          INTEGER NOT NULL,
    config_id         INTEGER NOT NULL,
    config_name       TEXT NOT NULL,
    config_name_fold  TEXT,
    package_name      TEXT NOT NULL,
    package_name_fold TEXT,
    entry_point       TEXT NOT NULL,
    entry_point_fold  TEXT,
    submitted_by_id   INTEGER NOT NULL,
    submitted_by_name TEXT NOT NULL,
    submitted_by_fold TEXT,
    destination_id    INTEGER NOT NULL,
    status            TEXT NOT NULL,
    reason            TEXT NOT NULL,
    taken             INTEGER NOT NULL,
    jobs              INTEGER NOT NULL,
    micros            INTEGER NOT NULL
) STRICT;

INSERT INTO job_counts (key, account_id, owner_id, config_id, config_name, config_name_fold, package_name, package_name_fold, entry_point, entry_point_fold,
        submitted_by_id, submitted_by_name, submitted_by_fold, destination_id, status, reason, taken, jobs, micros)
SELECT json_array(account_id, owner_id, config_id, config_name, package_name, entry_point, submitted_by_id, submitted_by_name, destination_id, status, reason, taken),
    account_id, owner_id, config_id, config_name, min(config_name_fold), package_name, min(package_name_fold), entry_point, min(entry_point_fold),
    submitted_by_id, submitted_by_name, min(submitted_by_fold), destination_id, status, reason, taken,
    count(*), coalesce(sum(finished_at - started_at), 0)
FROM jobs WHERE finished_at IS NOT NULL
GROUP BY account_id, owner_id, config_id, config_name, package_name, entry_point, submitted_by_id, submitted_by_name, destination_id, status, reason, taken;

-- +goose StatementBegin
CREATE TRIGGER jobs_count_ended AFTER UPDATE OF finished_at ON jobs WHEN OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL
BEGIN
    INSERT INTO job_counts (key, account_id, owner_id, config_id, config_name, config_name_fold, package_name, package_name_fold, entry_point, entry_point_fold,
        submitted_by_id, submitted_by_name, submitted_by_fold, destination_id, status, reason, taken, jobs, micros)
    VALUES (json_array(NEW.account_id, NEW.owner_id, NEW.config_id, NEW.config_name, NEW.package_name, NEW.entry_point, NEW.submitted_by_id, NEW.submitted_by_name, NEW.destination_id, NEW.status, NEW.reason, NEW.taken),
        NEW.account_id, NEW.owner_id, NEW.config_id, NEW.config_name, NEW.config_name_fold, NEW.package_name, NEW.package_name_fold, NEW.entry_point, NEW.entry_point_fold, NEW.submitted_by_id, NEW.submitted_by_name, NEW.submitted_by_fold, NEW.destination_id, NEW.status, NEW.reason, NEW.taken, 1,
        coalesce(NEW.finished_at - NEW.started_at, 0))
    ON CONFLICT (key) DO UPDATE SET jobs = jobs + excluded.jobs, micros = micros + excluded.micros;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER jobs_count_made AFTER INSERT ON jobs WHEN NEW.finished_at IS NOT NULL
BEGIN
    INSERT INTO job_counts (key, account_id, owner_id, config_id, config_name, config_name_fold, package_name, package_name_fold, entry_point, entry_point_fold,
        submitted_by_id, submitted_by_name, submitted_by_fold, destination_id, status, reason, taken, jobs, micros)
    VALUES (json_array(NEW.account_id, NEW.owner_id, NEW.config_id, NEW.config_name, NEW.package_name, NEW.entry_point, NEW.submitted_by_id, NEW.submitted_by_name, NEW.destination_id, NEW.status, NEW.reason, NEW.taken),
        NEW.account_id, NEW.owner_id, NEW.config_id, NEW.config_name, NEW.config_name_fold, NEW.package_name, NEW.package_name_fold, NEW.entry_point, NEW.entry_point_fold, NEW.submitted_by_id, NEW.submitted_by_name, NEW.submitted_by_fold, NEW.destination_id, NEW.status, NEW.reason, NEW.taken, 1,
        coalesce(NEW.finished_at - NEW.started_at, 0))
    ON CONFLICT (key) DO UPDATE SET jobs = jobs + excluded.jobs, micros = micros + excluded.micros;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER jobs_count_deleted AFTER DELETE ON jobs WHEN OLD.finished_at IS NOT NULL
BEGIN
    INSERT INTO job_counts (key, account_id, owner_id, config_id, config_name, config_name_fold, package_name, package_name_fold, entry_point, entry_point_fold,
        submitted_by_id, submitted_by_name, submitted_by_fold, destination_id, status, reason, taken, jobs, micros)
    VALUES (json_array(OLD.account_id, OLD.owner_id, OLD.config_id, OLD.config_name, OLD.package_name, OLD.entry_point, OLD.submitted_by_id, OLD.submitted_by_name, OLD.destination_id, OLD.status, OLD.reason, OLD.taken),
        OLD.account_id, OLD.owner_id, OLD.config_id, OLD.config_name, OLD.config_name_fold, OLD.package_name, OLD.package_name_fold, OLD.entry_point, OLD.entry_point_fold, OLD.submitted_by_id, OLD.submitted_by_name, OLD.submitted_by_fold, OLD.destination_id, OLD.status, OLD.reason, OLD.taken, -1,
        -coalesce(OLD.finished_at - OLD.started_at, 0))
    ON CONFLICT (key) DO UPDATE SET jobs = jobs + excluded.jobs, micros = micros + excluded.micros;
END;
-- +goose StatementEnd

CREATE INDEX jobs_ended ON jobs (account_id, status, scheduled_at, id) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_config_ended ON jobs (account_id, config_id, status, scheduled_at, id) WHERE finished_at IS NOT NULL;

-- +goose Down
DROP INDEX jobs_config_ended;
DROP INDEX jobs_ended;
DROP TRIGGER jobs_count_deleted;
DROP TRIGGER jobs_count_made;
DROP TRIGGER jobs_count_ended;
DROP TABLE job_count_changes;
DROP TABLE job_counts;
