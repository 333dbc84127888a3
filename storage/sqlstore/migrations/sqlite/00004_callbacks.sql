-- Messages to addresses and people outside, and who asked for mail. Its twin is migrations/postgres/00004_callbacks.sql: same
-- tables, columns and indexes.
--
-- A delivery about a job is made in the transaction of the change it tells of. Others have a source, the part of the product
-- that asked, and a key that tells repeats apart.

-- +goose Up
CREATE TABLE deliveries (
    id             TEXT    NOT NULL PRIMARY KEY,
    account_id     INTEGER NOT NULL,
    config_id      INTEGER NOT NULL,
    job_id         TEXT    REFERENCES jobs (id) ON DELETE CASCADE,
    kind           TEXT    NOT NULL CHECK (kind IN ('webhook', 'mail')),
    event          TEXT    NOT NULL,
    target         TEXT    NOT NULL,
    method         TEXT    NOT NULL,
    headers        TEXT    NOT NULL,
    sealed         TEXT    NOT NULL,
    change         TEXT    NOT NULL,
    body           TEXT    NOT NULL,
    attach_log     INTEGER NOT NULL CHECK (attach_log IN (0, 1)),
    source         TEXT    NOT NULL,
    source_key     TEXT    NOT NULL,
    status         TEXT    NOT NULL CHECK (status IN ('pending', 'delivering', 'delivered', 'failed')),
    round          INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    round_attempts INTEGER NOT NULL,
    round_at       INTEGER,
    next_at        INTEGER,
    code           INTEGER NOT NULL,
    error          TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    finished_at    INTEGER,
    written_at     INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX deliveries_once ON deliveries (job_id, kind, event, target) WHERE source = '';
CREATE UNIQUE INDEX deliveries_source ON deliveries (account_id, source, source_key) WHERE source <> '';
CREATE INDEX deliveries_job ON deliveries (job_id, created_at);
CREATE INDEX deliveries_pending ON deliveries (id) WHERE status = 'pending';
CREATE INDEX deliveries_underway ON deliveries (id) WHERE status = 'delivering';
-- Those about a job go with it; the others by their age.
CREATE INDEX deliveries_old ON deliveries (finished_at) WHERE job_id IS NULL AND finished_at IS NOT NULL;

CREATE TABLE delivery_attempts (
    delivery_id TEXT    NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    round       INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    duration    INTEGER NOT NULL,
    code        INTEGER NOT NULL,
    error       TEXT    NOT NULL,
    reply       TEXT    NOT NULL,
    PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE subscriptions (
    config_id        INTEGER NOT NULL PRIMARY KEY REFERENCES job_configs (id) ON DELETE CASCADE,
    account_id       INTEGER NOT NULL,
    active           INTEGER NOT NULL CHECK (active IN (0, 1)),
    recipients       TEXT    NOT NULL,
    events           TEXT    NOT NULL CHECK (events IN ('success', 'failure', 'always')),
    attach_log       INTEGER NOT NULL CHECK (attach_log IN (0, 1)),
    created_at       INTEGER NOT NULL,
    created_by_id    INTEGER NOT NULL,
    created_by_name  TEXT    NOT NULL,
    modified_at      INTEGER NOT NULL,
    modified_by_id   INTEGER NOT NULL,
    modified_by_name TEXT    NOT NULL
) STRICT;

-- +goose Down
DROP TABLE subscriptions;
DROP TABLE delivery_attempts;
DROP TABLE deliveries;
