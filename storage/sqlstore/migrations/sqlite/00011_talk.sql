-- Messages that go into jobs and come out of them, output values, and the output files of running jobs. Its twin is
-- migrations/postgres/00011_talk.sql: same tables, columns and indexes.
--
-- jobs.talk says which of these tables have rows of the job (1 messages, 2 values, 4 files), so that jobs that give nothing, as
-- most do, cost nothing.

-- +goose Up
ALTER TABLE jobs ADD COLUMN talk INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job_inputs ADD COLUMN messages TEXT NOT NULL DEFAULT '';

-- Out messages, the last of each name.
CREATE TABLE job_messages (
    job_id     TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    properties TEXT NOT NULL,
    size       INTEGER NOT NULL,
    told_at    INTEGER NOT NULL,
    body       TEXT NOT NULL,
    PRIMARY KEY (job_id, name)
) STRICT;

-- Output values, the last of each name.
CREATE TABLE job_values (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    name   TEXT NOT NULL,
    value  TEXT NOT NULL,
    PRIMARY KEY (job_id, name)
) STRICT, WITHOUT ROWID;

-- What lies in the output folder of a running job: a JSON list. At the end job_outputs takes its place.
CREATE TABLE job_files_now (
    job_id TEXT NOT NULL PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    files  TEXT NOT NULL
) STRICT;

-- +goose Down
DROP TABLE job_files_now;
DROP TABLE job_values;
DROP TABLE job_messages;
ALTER TABLE job_inputs DROP COLUMN messages;
ALTER TABLE jobs DROP COLUMN talk;
