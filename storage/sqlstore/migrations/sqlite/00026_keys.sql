-- Which API key a key was made with: it ends with that one, whoever deletes it. And what each act of the audit log was shown: NULL in entries
-- of before. Its twin is migrations/postgres/00026_keys.sql.

-- +goose Up
ALTER TABLE api_keys ADD COLUMN parent TEXT REFERENCES api_keys (id) ON DELETE CASCADE;
CREATE INDEX api_keys_parent ON api_keys (parent);

ALTER TABLE audit_log ADD COLUMN credential TEXT;
ALTER TABLE audit_log ADD COLUMN credential_id TEXT;

-- +goose Down
ALTER TABLE audit_log DROP COLUMN credential_id;
ALTER TABLE audit_log DROP COLUMN credential;

-- SQLite drops no column that is a foreign key.
CREATE TABLE api_keys_before (
    id               TEXT NOT NULL PRIMARY KEY,
    account_id       INTEGER NOT NULL REFERENCES accounts (id),
    owner_id         INTEGER NOT NULL REFERENCES users (id),
    owner_name       TEXT NOT NULL,
    owner_name_fold  TEXT,
    email            TEXT NOT NULL,
    org              TEXT NOT NULL,
    name             TEXT NOT NULL,
    name_fold        TEXT,
    description      TEXT NOT NULL,
    description_fold TEXT,
    form             TEXT NOT NULL,
    digest           TEXT NOT NULL, -- hex SHA-256 of an opaque key, else empty
    signed_by        TEXT NOT NULL, -- id of the sealing key that signs a JWT, else empty
    scopes           TEXT NOT NULL, -- JSON
    configs          TEXT NOT NULL, -- JSON; the only job configs it is for
    created_at       INTEGER NOT NULL, -- microseconds
    expires_at       INTEGER NOT NULL,
    used_at          INTEGER
) STRICT, WITHOUT ROWID;

INSERT INTO api_keys_before (id, account_id, owner_id, owner_name, owner_name_fold, email, org, name, name_fold, description, description_fold, form, digest, signed_by, scopes, configs, created_at, expires_at, used_at)
SELECT id, account_id, owner_id, owner_name, owner_name_fold, email, org, name, name_fold, description, description_fold, form, digest, signed_by, scopes, configs, created_at, expires_at, used_at FROM api_keys;
DROP TABLE api_keys;
ALTER TABLE api_keys_before RENAME TO api_keys;
CREATE INDEX api_keys_owner ON api_keys (account_id, owner_id);
CREATE INDEX api_keys_signed ON api_keys (signed_by);
