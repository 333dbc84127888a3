-- Lanes, events, counters, and rules of configs that go beyond one attempt. Its twin is migrations/sqlite/00002_engine.sql: same
-- tables, columns and indexes.
--
-- job_events is the ordered stream of what happened to jobs. seq is given out before the commit, so that a reader could
-- overtake a transaction that is still open: readers order by (tx, seq) and read up to the oldest open transaction only.

-- +goose Up
ALTER TABLE job_configs ADD COLUMN rules text COLLATE "C" NOT NULL DEFAULT '{}';

ALTER TABLE jobs ADD COLUMN lane text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN lane_seq bigint NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN fired_at bigint;
ALTER TABLE jobs ADD COLUMN trigger_kind text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN retry_scope text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN records_read bigint NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN records_written bigint NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN records_failed bigint NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN records_ignored bigint NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN errors_open bigint NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN errors_resolved bigint NOT NULL DEFAULT 0;

-- The jobs of a lane that are not final, in the order in which they came.
CREATE INDEX jobs_lane ON jobs (account_id, lane, lane_seq)
    WHERE lane <> '' AND status IN ('queued', 'running', 'cancelling');

CREATE TABLE lanes (
    account_id bigint NOT NULL,
    lane       text COLLATE "C" NOT NULL,
    places     bigint NOT NULL,
    last_seq   bigint NOT NULL,
    PRIMARY KEY (account_id, lane)
);

CREATE TABLE job_events (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tx         bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    account_id bigint NOT NULL,
    job_id     text COLLATE "C" NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    kind       text COLLATE "C" NOT NULL,
    data       text COLLATE "C" NOT NULL,
    at         bigint NOT NULL
);

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
