-- Schedules of job configs and what came of their last fires. Its twin is migrations/postgres/00003_schedules.sql: same tables, columns
-- and indexes.
--
-- rule is what the user said, as JSON; version grows with each change, synced is the version the engine was told of.

-- +goose Up
CREATE TABLE schedules (
    config_id   INTEGER PRIMARY KEY REFERENCES job_configs (id) ON DELETE CASCADE,
    account_id  INTEGER NOT NULL,
    rule        TEXT    NOT NULL,
    paused      INTEGER NOT NULL CHECK (paused IN (0, 1)),
    pause_note  TEXT    NOT NULL,
    runs        INTEGER NOT NULL,
    backfills   TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    synced      INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    modified_at INTEGER NOT NULL
) STRICT;

CREATE INDEX schedules_unsynced ON schedules (config_id) WHERE version <> synced;

CREATE TABLE schedule_fires (
    config_id  INTEGER NOT NULL REFERENCES schedules (config_id) ON DELETE CASCADE,
    fire_at    INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    fired_at   INTEGER NOT NULL,
    begun_at   INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    job_id     TEXT    NOT NULL,
    message    TEXT    NOT NULL,
    PRIMARY KEY (config_id, fire_at)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE schedule_fires;
DROP TABLE schedules;
