-- Files that an entity uses and another one has. A link that was taken away stays until no kept job ran through it: the
-- bytes are kept by what the source has, and this is how to find the jobs that need them.
-- Its twin is migrations/postgres/00013_links.sql.

-- +goose Up
CREATE TABLE file_links (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id      INTEGER NOT NULL REFERENCES accounts (id),
    entity_type     TEXT NOT NULL,
    entity_id       INTEGER NOT NULL,
    source_type     TEXT NOT NULL,
    source_id       INTEGER NOT NULL,
    file_key        TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    created_by_id   INTEGER NOT NULL,
    created_by_name TEXT NOT NULL,
    deleted         INTEGER NOT NULL CHECK (deleted IN (0, 1)),
    purge_after     INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX file_links_live ON file_links (account_id, entity_type, entity_id, file_key) WHERE NOT deleted;
CREATE INDEX file_links_source ON file_links (account_id, source_type, source_id, file_key);
CREATE INDEX file_links_deleted ON file_links (purge_after) WHERE deleted;

-- +goose Down
DROP TABLE file_links;
