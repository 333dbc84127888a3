-- Messages that go into jobs and come out of them, output values, and the output files of running jobs. Its twin is
-- migrations/sqlite/00011_talk.sql: same tables, columns and indexes.
--
-- jobs.talk says which of these tables have rows of the job (1 messages, 2 values, 4 files), so that jobs that give nothing, as
-- most do, cost nothing.

-- +goose Up
ALTER TABLE jobs ADD COLUMN talk bigint NOT NULL DEFAULT 0;
ALTER TABLE job_inputs ADD COLUMN messages text COLLATE "C" NOT NULL DEFAULT '';

-- Out messages, the last of each name.
CREATE TABLE job_messages (
    job_id     text COLLATE "C" NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    name       text COLLATE "C" NOT NULL,
    properties text COLLATE "C" NOT NULL,
    size       bigint NOT NULL,
    told_at    bigint NOT NULL,
    body       text COLLATE "C" NOT NULL,
    PRIMARY KEY (job_id, name)
);

-- Output values, the last of each name.
CREATE TABLE job_values (
    job_id text COLLATE "C" NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    name   text COLLATE "C" NOT NULL,
    value  text COLLATE "C" NOT NULL,
    PRIMARY KEY (job_id, name)
);

-- What lies in the output folder of a running job: a JSON list. At the end job_outputs takes its place.
CREATE TABLE job_files_now (
    job_id text COLLATE "C" NOT NULL PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    files  text COLLATE "C" NOT NULL
);

-- +goose Down
DROP TABLE job_files_now;
DROP TABLE job_values;
DROP TABLE job_messages;
ALTER TABLE job_inputs DROP COLUMN messages;
ALTER TABLE jobs DROP COLUMN talk;
