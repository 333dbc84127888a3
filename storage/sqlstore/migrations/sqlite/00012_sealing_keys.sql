-- The keys that secrets are sealed with, each sealed itself with the master key: once with every master key that is in use. Its
-- twin is migrations/postgres/00012_sealing_keys.sql.

-- +goose Up
CREATE TABLE sealing_keys (
    number     INTEGER NOT NULL,
    master     TEXT NOT NULL,
    key_id     TEXT NOT NULL,
    wrapped    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (number, master)
) STRICT;

-- +goose Down
DROP TABLE sealing_keys;
