-- API keys: all of them but the keys themselves, which are shown once and kept nowhere.
-- Its twin is migrations/sqlite/00022_api_keys.sql.

-- +goose Up
CREATE TABLE api_keys (
    id               text COLLATE "C" NOT NULL PRIMARY KEY,
    account_id       bigint NOT NULL REFERENCES accounts (id),
    owner_id         bigint NOT NULL REFERENCES users (id),
    owner_name       text COLLATE "C" NOT NULL,
    owner_name_fold  text COLLATE "C",
    email            text COLLATE "C" NOT NULL,
    org              text COLLATE "C" NOT NULL,
    name             text COLLATE "C" NOT NULL,
    name_fold        text COLLATE "C",
    description      text COLLATE "C" NOT NULL,
    description_fold text COLLATE "C",
    form             text COLLATE "C" NOT NULL,
    digest           text COLLATE "C" NOT NULL, -- hex SHA-256 of an opaque key, else empty
    signed_by        text COLLATE "C" NOT NULL, -- id of the sealing key that signs a JWT, else empty
    scopes           text COLLATE "C" NOT NULL, -- JSON
    configs          text COLLATE "C" NOT NULL, -- JSON; the only job configs it is for
    created_at       bigint NOT NULL, -- microseconds
    expires_at       bigint NOT NULL,
    used_at          bigint
);

CREATE INDEX api_keys_owner ON api_keys (account_id, owner_id);
CREATE INDEX api_keys_signed ON api_keys (signed_by);

-- +goose Down
DROP TABLE api_keys;
