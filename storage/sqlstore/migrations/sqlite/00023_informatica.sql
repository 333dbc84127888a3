-- What the Informatica door needs: its session ids, of which only hashes are kept; schedules that belong to an account and are put
-- on job configs by name; the time zone of an account; the time a stop gives a program; the door whose form a callback has.
-- The unfinished jobs of one config are found by an index of their own. Its twin is migrations/postgres/00023_informatica.sql.

-- +goose Up
CREATE TABLE door_sessions (
    hash       TEXT NOT NULL PRIMARY KEY, -- hex SHA-256 of the session id
    user_id    INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL, -- written once a minute at most
    ended_at   INTEGER
);

CREATE INDEX door_sessions_user ON door_sessions (user_id) WHERE ended_at IS NULL;

CREATE TABLE shared_schedules (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id       INTEGER NOT NULL REFERENCES accounts (id),
    name             TEXT NOT NULL,
    name_key         TEXT NOT NULL,
    rule             TEXT NOT NULL, -- JSON
    created_at       INTEGER NOT NULL,
    created_by_id    INTEGER NOT NULL,
    created_by_name  TEXT NOT NULL,
    modified_at      INTEGER NOT NULL,
    modified_by_name TEXT NOT NULL,
    change           INTEGER NOT NULL
);

CREATE UNIQUE INDEX shared_schedules_name ON shared_schedules (account_id, name_key);

ALTER TABLE schedules ADD COLUMN shared_id INTEGER NOT NULL DEFAULT 0;
CREATE INDEX schedules_shared ON schedules (shared_id) WHERE shared_id <> 0;

ALTER TABLE accounts ADD COLUMN time_zone TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN stop_grace INTEGER NOT NULL DEFAULT 0; -- nanoseconds; 0: the setting
ALTER TABLE deliveries ADD COLUMN door TEXT NOT NULL DEFAULT '';

CREATE INDEX jobs_config_open ON jobs (account_id, config_id) WHERE status IN ('queued', 'running', 'cancelling');

-- +goose Down
DROP INDEX jobs_config_open;
ALTER TABLE deliveries DROP COLUMN door;
ALTER TABLE jobs DROP COLUMN stop_grace;
ALTER TABLE accounts DROP COLUMN time_zone;
DROP INDEX schedules_shared;
ALTER TABLE schedules DROP COLUMN shared_id;
DROP TABLE shared_schedules;
DROP TABLE door_sessions;
