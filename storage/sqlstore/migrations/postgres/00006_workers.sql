-- Destinations that people make, and the workers that serve them. Its twin is migrations/sqlite/00006_workers.sql: same
-- tables, columns and indexes.
--
-- The destination an account begins with is its system destination: jobs go there when nothing else is said, and it stays.

-- +goose Up
ALTER TABLE destinations ADD COLUMN name_key text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE destinations ADD COLUMN description text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE destinations ADD COLUMN system boolean NOT NULL DEFAULT false;
UPDATE destinations SET name_key = lower(name),
    system = (id = (SELECT min(d.id) FROM destinations d WHERE d.account_id = destinations.account_id));
CREATE UNIQUE INDEX destinations_name_key ON destinations (account_id, name_key);
CREATE INDEX destinations_queue ON destinations (task_queue);

CREATE TABLE workers (
    id             text COLLATE "C" NOT NULL PRIMARY KEY,
    account_id     bigint NOT NULL REFERENCES accounts (id),
    task_queue     text COLLATE "C" NOT NULL,
    hostname       text COLLATE "C" NOT NULL,
    pid            bigint NOT NULL,
    version        text COLLATE "C" NOT NULL,
    labels         text COLLATE "C" NOT NULL,
    runners        text COLLATE "C" NOT NULL,
    sandbox        text COLLATE "C" NOT NULL,
    concurrency    bigint NOT NULL,
    running        bigint NOT NULL,
    status         text COLLATE "C" NOT NULL CONSTRAINT workers_status CHECK (status IN ('online', 'draining', 'offline')),
    drain          boolean NOT NULL,
    started_at     bigint NOT NULL,
    beat_at        bigint NOT NULL
);

CREATE INDEX workers_queue ON workers (task_queue);

-- +goose Down
DROP TABLE workers;
DROP INDEX destinations_queue;
DROP INDEX destinations_name_key;
ALTER TABLE destinations DROP COLUMN system;
ALTER TABLE destinations DROP COLUMN description;
ALTER TABLE destinations DROP COLUMN name_key;
