-- Lanes, events, counters, and rules of configs that go beyond one attempt. Its twin is migrations/postgres/00002_engine.sql: same
-- tables, columns and indexes.
--
-- job_events is the ordered stream of what happened to jobs. SQLite has one writer, so seq alone orders it; tx is 0.

-- +goose Up
ALTER TABLE job_configs ADD COLUMN rules TEXT NOT NULL DEFAULT '{}';

ALTER TABLE jobs ADD COLUMN lane TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN lane_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN fired_at INTEGER;
ALTER TABLE jobs ADD COLUMN trigger_kind TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN retry_scope TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN records_read INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN records_written INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN records_failed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN records_ignored INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN errors_open INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN errors_resolved INTEGER NOT NULL DEFAULT 0;

-- The jobs of a lane that are not final, in the order in which they came.
CREATE INDEX jobs_lane ON jobs (account_id, lane, lane_seq)
    WHERE lane <> '' AND status IN ('queued', 'running', 'cancelling');

CREATE TABLE lanes (
    account_id INTEGER NOT NULL,
    lane       TEXT    NOT NULL,
    places     INTEGER NOT NULL,
    last_seq   INTEGER NOT NULL,
    PRIMARY KEY (account_id, lane)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_events (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    tx         INTEGER NOT NULL DEFAULT 0,
    account_id INTEGER NOT NULL,
    job_id     TEXT    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    kind       TEXT    NOT NULL,
    data       TEXT    NOT NULL,
    at         INTEGER NOT NULL
) STRICT;

CREATE INDEX job_events_account ON job_events (account_id, tx, seq);
CREATE INDEX job_events_job ON job_events (job_id, tx, seq);
CREATE INDEX job_events_order ON job_events (tx, seq);

-- +goose Down
DROP TABLE job_events;
DROP TABLE lanes;
DROP INDEX jobs_lane;
ALTER TABLE jobs DROP COLUMN errors_resolved;
ALTER TABLE jobs DROP COLUMN errors_open;
ALTER TABLE jobs DROP COLUMN records_ignored;
ALTER TABLE jobs DROP COLUMN records_failed;
ALTER TABLE jobs DROP COLUMN records_written;
ALTER TABLE jobs DROP COLUMN records_read;
ALTER TABLE jobs DROP COLUMN retry_scope;
ALTER TABLE jobs DROP COLUMN trigger_kind;
ALTER TABLE jobs DROP COLUMN fired_at;
ALTER TABLE jobs DROP COLUMN lane_seq;
ALTER TABLE jobs DROP COLUMN lane;
ALTER TABLE job_configs DROP COLUMN rules;
