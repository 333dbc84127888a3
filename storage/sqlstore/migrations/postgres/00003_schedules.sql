-- Schedules of job configs and what came of their last fires. Its twin is migrations/sqlite/00003_schedules.sql: same tables, columns
-- and indexes.
--
-- rule is what the user said, as JSON; version grows with each change, synced is the version the engine was told of.

-- +goose Up
CREATE TABLE schedules (
    config_id   bigint PRIMARY KEY REFERENCES job_configs (id) ON DELETE CASCADE,
    account_id  bigint NOT NULL,
    rule        text COLLATE "C" NOT NULL,
    paused      boolean NOT NULL,
    pause_note  text COLLATE "C" NOT NULL,
    runs        bigint NOT NULL,
    backfills   text COLLATE "C" NOT NULL,
    version     bigint NOT NULL,
    synced      bigint NOT NULL,
    created_at  bigint NOT NULL,
    modified_at bigint NOT NULL
);

CREATE INDEX schedules_unsynced ON schedules (config_id) WHERE version <> synced;

CREATE TABLE schedule_fires (
    config_id  bigint NOT NULL REFERENCES schedules (config_id) ON DELETE CASCADE,
    fire_at    bigint NOT NULL,
    account_id bigint NOT NULL,
    fired_at   bigint NOT NULL,
    begun_at   bigint NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    outcome    text COLLATE "C" NOT NULL,
    job_id     text COLLATE "C" NOT NULL,
    message    text COLLATE "C" NOT NULL,
    PRIMARY KEY (config_id, fire_at)
);

-- +goose Down
DROP TABLE schedule_fires;
DROP TABLE schedules;
