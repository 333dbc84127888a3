-- Destinations that people make, and the workers that serve them. Its twin is migrations/postgres/00006_workers.sql: same
-- tables, columns and indexes.
--
-- The destination an account begins with is its system destination: jobs go there when nothing else is said, and it stays.

-- +goose Up
ALTER TABLE destinations ADD COLUMN name_key TEXT NOT NULL DEFAULT '';
ALTER TABLE destinations ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE destinations ADD COLUMN system INTEGER NOT NULL DEFAULT 0 CHECK (system IN (0, 1));
UPDATE destinations SET name_key = lower(name),
    system = CASE WHEN id = (SELECT min(d.id) FROM destinations d WHERE d.account_id = destinations.account_id) THEN 1 ELSE 0 END;
CREATE UNIQUE INDEX destinations_name_key ON destinations (account_id, name_key);
CREATE INDEX destinations_queue ON destinations (task_queue);

CREATE TABLE workers (
    id             TEXT    NOT NULL PRIMARY KEY,
    account_id     INTEGER NOT NULL REFERENCES accounts (id),
    task_queue     TEXT    NOT NULL,
    hostname       TEXT    NOT NULL,
    pid            INTEGER NOT NULL,
    version        TEXT    NOT NULL,
    labels         TEXT    NOT NULL,
    runners        TEXT    NOT NULL,
    sandbox        TEXT    NOT NULL,
    concurrency    INTEGER NOT NULL,
    running        INTEGER NOT NULL,
    status         TEXT    NOT NULL CONSTRAINT workers_status CHECK (status IN ('online', 'draining', 'offline')),
    drain          INTEGER NOT NULL CHECK (drain IN (0, 1)),
    started_at     INTEGER NOT NULL,
    beat_at        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX workers_queue ON workers (task_queue);

-- +goose Down
DROP TABLE workers;
DROP INDEX destinations_queue;
DROP INDEX destinations_name_key;
ALTER TABLE destinations DROP COLUMN system;
ALTER TABLE destinations DROP COLUMN description;
ALTER TABLE destinations DROP COLUMN name_key;
