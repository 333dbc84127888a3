-- API keys: all of them but the keys themselves, which are shown once and kept nowhere.
-- Its twin is migrations/postgres/00022_api_keys.sql.

-- +goose Up
CREATE TABLE api_keys (
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

CREATE INDEX api_keys_owner ON api_keys (account_id, owner_id);
CREATE INDEX api_keys_signed ON api_keys (signed_by);

-- +goose Down
DROP TABLE api_keys;
