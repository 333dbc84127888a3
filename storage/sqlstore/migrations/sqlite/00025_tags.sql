-- Ended jobs by their tags: counters, and an index in the order of lists. Its twin is migrations/postgres/00025_tags.sql: same tables,
-- columns and indexes.
--
-- A job is entered when it ends, and taken out when it is deleted, by triggers, as in 00015_counts.sql; one without tags costs nothing. job_tagged
-- holds for each of its tags a row, by the status that it ended in, in the order of lists. job_tag_counts is job_counts for each tag;
-- job_tag_count_changes stays empty.

-- +goose Up
CREATE TABLE job_tagged (
    account  INTEGER NOT NULL,
    tag      TEXT    NOT NULL,
    ended_as TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    job_id   TEXT    NOT NULL,
    PRIMARY KEY (account, tag, ended_as, at, job_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_tag_counts (
    key               TEXT NOT NULL PRIMARY KEY,
    tag               TEXT NOT NULL,
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

CREATE INDEX job_tag_counts_tag ON job_tag_counts (account_id, tag);

CREATE TABLE job_tag_count_changes (
    seq               INTEGER PRIMARY KEY AUTOINCREMENT,
    tag               TEXT NOT NULL,
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

CREATE INDEX job_tag_count_changes_tag ON job_tag_count_changes (account_id, tag);

INSERT INTO job_tagged (account, tag, ended_as, at, job_id)
SELECT DISTINCT account_id, t.value, status, scheduled_at, jobs.id FROM jobs, json_each(jobs.tags) AS t WHERE finished_at IS NOT NULL AND tags <> '[]';

INSERT INTO job_tag_counts (key, tag, account_id, owner_id, config_id, config_name, config_name_fold, package_name, package_name_fold, entry_point, entry_point_fold,
        submitted_by_id, submitted_by_name, submitted_by_fold, destination_id, status, reason, taken, jobs, micros)
SELECT json_array(tag, account_id, owner_id, config_id, config_name, package_name, entry_point, submitted_by_id, submitted_by_name, destination_id, status, reason, taken), tag,
    account_id, owner_id, config_id, config_name, min(config_name_fold), package_name, min(package_name_fold), entry_point, min(entry_point_fold),
    submitted_by_id, submitted_by_name, min(submitted_by_fold), destination_id, status, reason, taken,
    count(*), coalesce(sum(finished_at - started_at), 0)
FROM job_tagged JOIN jobs ON jobs.id = job_id
GROUP BY tag, account_id, owner_id, config_id, config_name, package_name, entry_point, submitted_by_id, submitted_by_name, destination_id, status, reason, taken;

-- +goose StatementBegin
CREATE TRIGGER jobs_count_tags_ended AFTER UPDATE OF finished_at ON jobs WHEN OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL AND NEW.tags <> '[]'
BEGIN
    INSERT INTO job_tagged (account, tag, ended_as, at, job_id)
    SELECT NEW.account_id, value, NEW.status, NEW.scheduled_at, NEW.id FROM json_each(NEW.tags) WHERE true
    ON CONFLICT DO NOTHING;
    INSERT INTO job_tag_counts (key, tag, account_id, owner_id, config_id, config_name, config_name_fold, package_name, package_name_fold, entry_point, entry_point_fold,
        submitted_by_id, submitted_by_name, submitted_by_fold, destination_id, status, reason, taken, jobs, micros)
    SELECT DISTINCT json_array(value, NEW.account_id, NEW.owner_id, NEW.config_id, NEW.config_name, NEW.package_name, NEW.entry_point, NEW.submitted_by_id, NEW.submitted_by_name, NEW.destination_id, NEW.status, NEW.reason, NEW.taken), value,
        NEW.account_id, NEW.owner_id, NEW.config_id, NEW.config_name, NEW.config_name_fold, NEW.package_name, NEW.package_name_fold, NEW.entry_point, NEW.entry_point_fold,
        NEW.submitted_by_id, NEW.submitted_by_name, NEW.submitted_by_fold, NEW.destination_id, NEW.status, NEW.reason, NEW.taken, 1,
        coalesce(NEW.finished_at - NEW.started_at, 0)
    FROM json_each(NEW.tags) WHERE true
    ON CONFLICT (key) DO UPDATE SET jobs = jobs + excluded.jobs, micros = micros + excluded.micros;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER jobs_count_tags_made AFTER INSERT ON jobs WHEN NEW.finished_at IS NOT NULL AND NEW.tags <> '[]'
BEGIN
    INSERT INTO job_tagged (account, tag, ended_as, at, job_id)
    SELECT NEW.account_id, value, NEW.status, NEW.scheduled_at, NEW.id FROM json_each(NEW.tags) WHERE true
    ON CONFLICT DO NOTHING;
    INSERT INTO job_tag_counts (key, tag, account_id, owner_id, config_id, config_name, config_name_fold, package_name, package_name_fold, entry_point, entry_point_fold,
        submitted_by_id, submitted_by_name, submitted_by_fold, destination_id, status, reason, taken, jobs, micros)
    SELECT DISTINCT json_array(value, NEW.account_id, NEW.owner_id, NEW.config_id, NEW.config_name, NEW.package_name, NEW.entry_point, NEW.submitted_by_id, NEW.submitted_by_name, NEW.destination_id, NEW.status, NEW.reason, NEW.taken), value,
        NEW.account_id, NEW.owner_id, NEW.config_id, NEW.config_name, NEW.config_name_fold, NEW.package_name, NEW.package_name_fold, NEW.entry_point, NEW.entry_point_fold,
        NEW.submitted_by_id, NEW.submitted_by_name, NEW.submitted_by_fold, NEW.destination_id, NEW.status, NEW.reason, NEW.taken, 1,
        coalesce(NEW.finished_at - NEW.started_at, 0)
    FROM json_each(NEW.tags) WHERE true
    ON CONFLICT (key) DO UPDATE SET jobs = jobs + excluded.jobs, micros = micros + excluded.micros;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER jobs_count_tags_deleted AFTER DELETE ON jobs WHEN OLD.finished_at IS NOT NULL AND OLD.tags <> '[]'
BEGIN
    DELETE FROM job_tagged WHERE account = OLD.account_id AND tag IN (SELECT value FROM json_each(OLD.tags))
        AND ended_as = OLD.status AND at = OLD.scheduled_at AND job_id = OLD.id;
    INSERT INTO job_tag_counts (key, tag, account_id, owner_id, config_id, config_name, config_name_fold, package_name, package_name_fold, entry_point, entry_point_fold,
        submitted_by_id, submitted_by_name, submitted_by_fold, destination_id, status, reason, taken, jobs, micros)
    SELECT DISTINCT json_array(value, OLD.account_id, OLD.owner_id, OLD.config_id, OLD.config_name, OLD.package_name, OLD.entry_point, OLD.submitted_by_id, OLD.submitted_by_name, OLD.destination_id, OLD.status, OLD.reason, OLD.taken), value,
        OLD.account_id, OLD.owner_id, OLD.config_id, OLD.config_name, OLD.config_name_fold, OLD.package_name, OLD.package_name_fold, OLD.entry_point, OLD.entry_point_fold,
        OLD.submitted_by_id, OLD.submitted_by_name, OLD.submitted_by_fold, OLD.destination_id, OLD.status, OLD.reason, OLD.taken, -1,
        -coalesce(OLD.finished_at - OLD.started_at, 0)
    FROM json_each(OLD.tags) WHERE true
    ON CONFLICT (key) DO UPDATE SET jobs = jobs + excluded.jobs, micros = micros + excluded.micros;
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER jobs_count_tags_deleted;
DROP TRIGGER jobs_count_tags_made;
DROP TRIGGER jobs_count_tags_ended;
DROP TABLE job_tag_count_changes;
DROP TABLE job_tag_counts;
DROP TABLE job_tagged;
