-- What must stay the same for as long as the installation lives: the fingerprint of the master key that secrets are sealed with.
-- Its twin is migrations/postgres/00009_installation.sql.

-- +goose Up
CREATE TABLE installation (
    name TEXT NOT NULL PRIMARY KEY,
    mark TEXT NOT NULL
) STRICT;

-- +goose Down
DROP TABLE installation;
