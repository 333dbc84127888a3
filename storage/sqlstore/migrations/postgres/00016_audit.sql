-- The audit log: who did what, from where, and how it ended. Rows are added and, when they are over their time, deleted; a
-- trigger refuses every change. Its twin is migrations/sqlite/00016_audit.sql.

-- +goose Up
CREATE TABLE audit_log (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id    bigint NOT NULL, -- 0: nobody's but the operator's
    at            bigint NOT NULL, -- microseconds
    actor_id      bigint NOT NULL,
    actor         text COLLATE "C" NOT NULL,
    action        text COLLATE "C" NOT NULL,
    resource_type text COLLATE "C" NOT NULL,
    resource_id   text COLLATE "C" NOT NULL,
    address       text COLLATE "C" NOT NULL,
    request       text COLLATE "C" NOT NULL,
    trace         text COLLATE "C" NOT NULL,
    result        text COLLATE "C" NOT NULL,
    reason        text COLLATE "C" NOT NULL,
    changes       text COLLATE "C" NOT NULL, -- JSON, or empty
    acts          integer NOT NULL
);

CREATE INDEX audit_log_time ON audit_log (account_id, at, id);
CREATE INDEX audit_log_actor ON audit_log (account_id, actor, at, id);
CREATE INDEX audit_log_resource ON audit_log (account_id, resource_type, resource_id, at, id);

-- +goose StatementBegin
CREATE FUNCTION audit_log_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is not changed';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER audit_log_stays BEFORE UPDATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_log_stays();

-- +goose Down
DROP TABLE audit_log;
DROP FUNCTION audit_log_stays();
