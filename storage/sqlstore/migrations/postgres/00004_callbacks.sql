-- Messages to addresses and people outside, and who asked for mail. Its twin is migrations/sqlite/00004_callbacks.sql: same
-- tables, columns and indexes.
--
-- A delivery about a job is made in the transaction of the change it tells of. Others have a source, the part of the product
-- that asked, and a key that tells repeats apart.

-- +goose Up
CREATE TABLE deliveries (
    id             text COLLATE "C" NOT NULL PRIMARY KEY,
    account_id     bigint NOT NULL,
    config_id      bigint NOT NULL,
    job_id         text COLLATE "C" REFERENCES jobs (id) ON DELETE CASCADE,
    kind           text COLLATE "C" NOT NULL CHECK (kind IN ('webhook', 'mail')),
    event          text COLLATE "C" NOT NULL,
    target         text COLLATE "C" NOT NULL,
    method         text COLLATE "C" NOT NULL,
    headers        text COLLATE "C" NOT NULL,
    sealed         text COLLATE "C" NOT NULL,
    change         text COLLATE "C" NOT NULL,
    body           text COLLATE "C" NOT NULL,
    attach_log     boolean NOT NULL,
    source         text COLLATE "C" NOT NULL,
    source_key     text COLLATE "C" NOT NULL,
    status         text COLLATE "C" NOT NULL CHECK (status IN ('pending', 'delivering', 'delivered', 'failed')),
    round          bigint NOT NULL,
    attempts       bigint NOT NULL,
    round_attempts bigint NOT NULL,
    round_at       bigint,
    next_at        bigint,
    code           bigint NOT NULL,
    error          text COLLATE "C" NOT NULL,
    created_at     bigint NOT NULL,
    finished_at    bigint,
    written_at     bigint NOT NULL
);

CREATE UNIQUE INDEX deliveries_once ON deliveries (job_id, kind, event, target) WHERE source = '';
CREATE UNIQUE INDEX deliveries_source ON deliveries (account_id, source, source_key) WHERE source <> '';
CREATE INDEX deliveries_job ON deliveries (job_id, created_at);
CREATE INDEX deliveries_pending ON deliveries (id) WHERE status = 'pending';
CREATE INDEX deliveries_underway ON deliveries (id) WHERE status = 'delivering';
-- Those about a job go with it; the others by their age.
CREATE INDEX deliveries_old ON deliveries (finished_at) WHERE job_id IS NULL AND finished_at IS NOT NULL;

CREATE TABLE delivery_attempts (
    delivery_id text COLLATE "C" NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    number      bigint NOT NULL,
    round       bigint NOT NULL,
    at          bigint NOT NULL,
    duration    bigint NOT NULL,
    code        bigint NOT NULL,
    error       text COLLATE "C" NOT NULL,
    reply       text COLLATE "C" NOT NULL,
    PRIMARY KEY (delivery_id, number)
);

CREATE TABLE subscriptions (
    config_id        bigint NOT NULL PRIMARY KEY REFERENCES job_configs (id) ON DELETE CASCADE,
    account_id       bigint NOT NULL,
    active           boolean NOT NULL,
    recipients       text COLLATE "C" NOT NULL,
    events           text COLLATE "C" NOT NULL CHECK (events IN ('success', 'failure', 'always')),
    attach_log       boolean NOT NULL,
    created_at       bigint NOT NULL,
    created_by_id    bigint NOT NULL,
    created_by_name  text COLLATE "C" NOT NULL,
    modified_at      bigint NOT NULL,
    modified_by_id   bigint NOT NULL,
    modified_by_name text COLLATE "C" NOT NULL
);

-- +goose Down
DROP TABLE subscriptions;
DROP TABLE delivery_attempts;
DROP TABLE deliveries;
