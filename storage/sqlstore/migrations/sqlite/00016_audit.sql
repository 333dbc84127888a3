-- The audit log: who did what, from where, and how it ended. Rows are added and, when they are over their time, deleted; a
-- trigger refuses every change. Its twin is migrations/postgres/00016_audit.sql.

-- +goose Up
CREATE TABLE audit_log (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id    INTEGER NOT NULL, -- 0: nobody's but the operator's
    at            INTEGER NOT NULL, -- microseconds
    actor_id      INTEGER NOT NULL,
    actor         TEXT NOT NULL,
    action        TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id   TEXT NOT NULL,
    address       TEXT NOT NULL,
    request       TEXT NOT NULL,
    trace         TEXT NOT NULL,
    result        TEXT NOT NULL,
    reason        TEXT NOT NULL,
    changes       TEXT NOT NULL, -- JSON, or empty
    acts          INTEGER NOT NULL
) STRICT;

CREATE INDEX audit_log_time ON audit_log (account_id, at, id);
CREATE INDEX audit_log_actor ON audit_log (account_id, actor, at, id);
CREATE INDEX audit_log_resource ON audit_log (account_id, resource_type, resource_id, at, id);

-- +goose StatementBegin
CREATE TRIGGER audit_log_stays BEFORE UPDATE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit log is not changed');
END;
-- +goose StatementEnd

-- +goose Down
DROP TABLE audit_log;
