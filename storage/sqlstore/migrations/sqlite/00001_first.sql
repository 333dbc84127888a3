-- The first schema. Its twin is migrations/postgres/00001_first.sql: same tables, columns and indexes.
--
-- Times are microseconds since 1970 (UTC), durations nanoseconds, lists and snapshots JSON text. A text that is absent is
-- '', a time or number that is absent is NULL. A column x_fold holds the lower-case form of x where it differs from x.

-- +goose Up
CREATE TABLE accounts (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT    NOT NULL CONSTRAINT accounts_name UNIQUE,
    destination_id INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE destinations (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    name       TEXT    NOT NULL,
    task_queue TEXT    NOT NULL,
    CONSTRAINT destinations_name UNIQUE (account_id, name)
) STRICT;

CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id    INTEGER NOT NULL REFERENCES accounts (id),
    name          TEXT    NOT NULL,
    name_key      TEXT    NOT NULL CONSTRAINT users_name UNIQUE,
    password_hash TEXT    NOT NULL,
    admin         INTEGER NOT NULL CHECK (admin IN (0, 1)),
    active        INTEGER NOT NULL CHECK (active IN (0, 1)),
    created_at    INTEGER NOT NULL
) STRICT;

CREATE INDEX users_account ON users (account_id);

CREATE TABLE token_families (
    id           TEXT    NOT NULL PRIMARY KEY,
    user_id      INTEGER NOT NULL,
    account_id   INTEGER NOT NULL,
    refresh_hash TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    revoked_at   INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX token_families_expires ON token_families (expires_at);

CREATE TABLE login_failures (
    subject        TEXT    NOT NULL PRIMARY KEY,
    failures       INTEGER NOT NULL,
    window_ends_at INTEGER NOT NULL,
    locked_until   INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE job_configs (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    object_id          TEXT    NOT NULL CONSTRAINT job_configs_object_id UNIQUE,
    account_id         INTEGER NOT NULL REFERENCES accounts (id),
    name               TEXT    NOT NULL,
    name_key           TEXT    NOT NULL,
    description        TEXT    NOT NULL,
    description_fold   TEXT,
    active             INTEGER NOT NULL CHECK (active IN (0, 1)),
    runtime            TEXT    NOT NULL,
    package_name       TEXT    NOT NULL,
    package_name_fold  TEXT,
    entry_point        TEXT    NOT NULL,
    entry_point_fold   TEXT,
    destination_id     INTEGER NOT NULL,
    timeout            INTEGER NOT NULL,
    retry              TEXT    NOT NULL,
    on_loss            TEXT    NOT NULL,
    tags               TEXT    NOT NULL,
    labels             TEXT    NOT NULL,
    owner_id           INTEGER NOT NULL,
    owner_name         TEXT    NOT NULL,
    owner_name_fold    TEXT,
    created_at         INTEGER NOT NULL,
    created_by_id      INTEGER NOT NULL,
    created_by_name    TEXT    NOT NULL,
    created_by_fold    TEXT,
    modified_at        INTEGER NOT NULL,
    modified_by_id     INTEGER NOT NULL,
    modified_by_name   TEXT    NOT NULL,
    modified_by_fold   TEXT,
    runs               INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT job_configs_name UNIQUE (account_id, name_key)
) STRICT;

CREATE INDEX job_configs_owner ON job_configs (account_id, owner_id, name_key);

CREATE TABLE job_config_tags (
    config_id  INTEGER NOT NULL REFERENCES job_configs (id) ON DELETE CASCADE,
    tag        TEXT    NOT NULL,
    tag_fold   TEXT,
    account_id INTEGER NOT NULL,
    PRIMARY KEY (config_id, tag)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_config_tags_tag ON job_config_tags (account_id, tag);

CREATE TABLE file_keys (
    account_id    INTEGER NOT NULL,
    entity_type   TEXT    NOT NULL,
    entity_id     INTEGER NOT NULL,
    file_key      TEXT    NOT NULL,
    file_key_fold TEXT,
    newest        INTEGER NOT NULL,
    deleted       INTEGER NOT NULL CHECK (deleted IN (0, 1)),
    PRIMARY KEY (account_id, entity_type, entity_id, file_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE file_versions (
    account_id      INTEGER NOT NULL,
    entity_type     TEXT    NOT NULL,
    entity_id       INTEGER NOT NULL,
    file_key        TEXT    NOT NULL,
    version         INTEGER NOT NULL CHECK (version > 0),
    size            INTEGER NOT NULL CHECK (size >= 0),
    sha256          TEXT    NOT NULL,
    content_type    TEXT    NOT NULL,
    archive         TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    created_by_id   INTEGER NOT NULL,
    created_by_name TEXT    NOT NULL,
    CONSTRAINT file_versions_version UNIQUE (account_id, entity_type, entity_id, file_key, version)
) STRICT;

CREATE TABLE jobs (
    id                  TEXT    NOT NULL PRIMARY KEY,
    account_id          INTEGER NOT NULL,
    config_id           INTEGER NOT NULL,
    config_name         TEXT    NOT NULL,
    config_name_fold    TEXT,
    owner_id            INTEGER NOT NULL,
    run_number          INTEGER NOT NULL,
    status              TEXT    NOT NULL CONSTRAINT jobs_status CHECK (status IN
                            ('queued', 'running', 'cancelling', 'completed', 'failed', 'cancelled')),
    reason              TEXT    NOT NULL,
    taken               INTEGER NOT NULL CHECK (taken IN (0, 1)),
    fence               INTEGER NOT NULL,
    change              INTEGER NOT NULL,
    worker              TEXT    NOT NULL,
    worker_fold         TEXT,
    spec                TEXT    NOT NULL,
    has_inputs          INTEGER NOT NULL CHECK (has_inputs IN (0, 1)),
    package_name        TEXT    NOT NULL,
    package_name_fold   TEXT,
    entry_point         TEXT    NOT NULL,
    entry_point_fold    TEXT,
    destination_id      INTEGER NOT NULL,
    tags                TEXT    NOT NULL,
    attempt             INTEGER NOT NULL,
    failures            INTEGER NOT NULL,
    return_code         INTEGER,
    message             TEXT    NOT NULL,
    scheduled_at        INTEGER NOT NULL,
    start_after         INTEGER,
    received_at         INTEGER,
    started_at          INTEGER,
    finished_at         INTEGER,
    submitted_by_id     INTEGER NOT NULL,
    submitted_by_name   TEXT    NOT NULL,
    submitted_by_fold   TEXT,
    stopped_by_id       INTEGER NOT NULL,
    stopped_by_name     TEXT    NOT NULL,
    stopped_by_fold     TEXT,
    retry_of            TEXT    NOT NULL,
    root                TEXT    NOT NULL,
    retry_number        INTEGER NOT NULL,
    resolved_by         TEXT    NOT NULL,
    resolved_at         INTEGER,
    rolled_up           INTEGER NOT NULL CHECK (rolled_up IN (0, 1)),
    unreachable         INTEGER NOT NULL CHECK (unreachable IN (0, 1)),
    written_at          INTEGER NOT NULL
) STRICT;

-- Lists: all of an account, of one config, of one owner. Written once, at submit: no later write touches their columns.
CREATE INDEX jobs_scheduled ON jobs (account_id, scheduled_at, id);
CREATE INDEX jobs_config ON jobs (account_id, config_id, scheduled_at, id);
CREATE INDEX jobs_owner ON jobs (account_id, owner_id, scheduled_at, id);
-- The retry chain; first runs are not in it.
CREATE INDEX jobs_root ON jobs (root, retry_number) WHERE root <> '';
CREATE INDEX jobs_retry_of ON jobs (retry_of) WHERE retry_of <> '';
-- The reconciler's backlog, and lists of unfinished jobs.
CREATE INDEX jobs_unfinished ON jobs (id) WHERE status IN ('queued', 'running', 'cancelling');
CREATE INDEX jobs_unreachable ON jobs (id) WHERE unreachable AND status IN ('queued', 'running', 'cancelling');
CREATE INDEX jobs_not_rolled_up ON jobs (finished_at)
    WHERE retry_of <> '' AND NOT rolled_up AND finished_at IS NOT NULL;

-- Macros and text files of a spec, apart so that status writes do not rewrite them and lists do not read them.
CREATE TABLE job_inputs (
    job_id TEXT NOT NULL PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    macros TEXT NOT NULL,
    files  TEXT NOT NULL
) STRICT;

CREATE TABLE job_tags (
    job_id     TEXT    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    tag        TEXT    NOT NULL,
    tag_fold   TEXT,
    account_id INTEGER NOT NULL,
    PRIMARY KEY (job_id, tag)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_tags_tag ON job_tags (account_id, tag);

CREATE TABLE job_attempts (
    job_id      TEXT    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    fence       INTEGER NOT NULL,
    worker      TEXT    NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    return_code INTEGER,
    reason      TEXT    NOT NULL,
    message     TEXT    NOT NULL,
    PRIMARY KEY (job_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_steps (
    job_id          TEXT    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    position        INTEGER NOT NULL,
    name            TEXT    NOT NULL,
    status          TEXT    NOT NULL CONSTRAINT job_steps_status CHECK (status IN
                        ('queued', 'running', 'cancelling', 'completed', 'failed', 'cancelled')),
    attempt         INTEGER NOT NULL,
    started_at      INTEGER,
    finished_at     INTEGER,
    return_code     INTEGER,
    records_read    INTEGER NOT NULL,
    records_written INTEGER NOT NULL,
    records_failed  INTEGER NOT NULL,
    message         TEXT    NOT NULL,
    PRIMARY KEY (job_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_outputs (
    job_id     TEXT    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    name       TEXT    NOT NULL,
    size       INTEGER NOT NULL,
    sha256     TEXT    NOT NULL,
    object     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (job_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_keys (
    account_id INTEGER NOT NULL,
    caller     INTEGER NOT NULL,
    route      TEXT    NOT NULL,
    idem_key   TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    job_id     TEXT    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, caller, route, idem_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_expires ON idempotency_keys (expires_at);

-- +goose Down
DROP TABLE idempotency_keys;
DROP TABLE job_outputs;
DROP TABLE job_steps;
DROP TABLE job_attempts;
DROP TABLE job_tags;
DROP TABLE job_inputs;
DROP TABLE jobs;
DROP TABLE file_versions;
DROP TABLE file_keys;
DROP TABLE job_config_tags;
DROP TABLE job_configs;
DROP TABLE login_failures;
DROP TABLE token_families;
DROP TABLE users;
DROP TABLE destinations;
DROP TABLE accounts;
