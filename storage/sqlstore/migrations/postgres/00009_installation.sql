-- What must stay the same for as long as the installation lives: the fingerprint of the master key that secrets are sealed with.
-- Its twin is migrations/sqlite/00009_installation.sql.

-- +goose Up
CREATE TABLE installation (
    name text COLLATE "C" NOT NULL PRIMARY KEY,
    mark text COLLATE "C" NOT NULL
);

-- +goose Down
DROP TABLE installation;
