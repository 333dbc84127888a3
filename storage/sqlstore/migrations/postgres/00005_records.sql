-- Record errors, the records themselves, and which of them a retry is given. Its twin is
-- migrations/sqlite/00005_records.sql: same tables, columns and indexes.
--
-- Counters hold in every transaction: a step's errors_open is the number of its open rows in job_errors, errors_resolved of
-- the others; each counter of a job is the sum over its steps.

-- +goose Up
ALTER TABLE jobs ADD COLUMN warnings text COLLATE "C" NOT NULL DEFAULT '';

ALTER TABLE job_steps ADD COLUMN records_ignored bigint NOT NULL DEFAULT 0;
ALTER TABLE job_steps ADD COLUMN errors_open bigint NOT NULL DEFAULT 0;
ALTER TABLE job_steps ADD COLUMN errors_resolved bigint NOT NULL DEFAULT 0;

-- resolved_how is '' while the error is open.
CREATE TABLE job_errors (
    job_id           text COLLATE "C" NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    record_id        text COLLATE "C" NOT NULL,
    attempt          bigint NOT NULL,
    step             text COLLATE "C" NOT NULL,
    code             text COLLATE "C" NOT NULL,
    message          text COLLATE "C" NOT NULL,
    message_fold     text COLLATE "C",
    trace_key        text COLLATE "C" NOT NULL,
    classification   text COLLATE "C" NOT NULL,
    occurred_at      bigint NOT NULL,
    resolved_how     text COLLATE "C" NOT NULL CONSTRAINT job_errors_resolved_how CHECK (resolved_how IN ('', 'user', 'retry', 'superseded')),
    resolved_by_id   bigint NOT NULL,
    resolved_by_name text COLLATE "C" NOT NULL,
    resolved_at      bigint,
    retry_job        text COLLATE "C" NOT NULL,
    has_data         boolean NOT NULL,
    PRIMARY KEY (job_id, record_id)
);

-- Lists are in the order of raising; counters are counted by step.
CREATE INDEX job_errors_order ON job_errors (job_id, occurred_at, record_id);
CREATE INDEX job_errors_step ON job_errors (job_id, step, resolved_how);

CREATE TABLE job_error_data (
    job_id    text COLLATE "C" NOT NULL,
    record_id text COLLATE "C" NOT NULL,
    data      text COLLATE "C" NOT NULL,
    rev       bigint NOT NULL,
    PRIMARY KEY (job_id, record_id),
    FOREIGN KEY (job_id, record_id) REFERENCES job_errors (job_id, record_id) ON DELETE CASCADE
);

-- What a retry of records is given: the errors of its parent that were open when it was accepted.
CREATE TABLE retry_records (
    job_id    text COLLATE "C" NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    parent_id text COLLATE "C" NOT NULL,
    record_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (job_id, record_id)
);

CREATE INDEX retry_records_parent ON retry_records (parent_id, record_id);

-- +goose Down
DROP TABLE retry_records;
DROP TABLE job_error_data;
DROP TABLE job_errors;
ALTER TABLE job_steps DROP COLUMN errors_resolved;
ALTER TABLE job_steps DROP COLUMN errors_open;
ALTER TABLE job_steps DROP COLUMN records_ignored;
ALTER TABLE jobs DROP COLUMN warnings;
