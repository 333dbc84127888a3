-- The keys that secrets are sealed with, each sealed itself with the master key: once with every master key that is in use. Its
-- twin is migrations/sqlite/00012_sealing_keys.sql.

-- +goose Up
CREATE TABLE sealing_keys (
    number     bigint NOT NULL,
    master     text COLLATE "C" NOT NULL,
    key_id     text COLLATE "C" NOT NULL,
    wrapped    text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (number, master)
);

-- +goose Down
DROP TABLE sealing_keys;
