-- Files of the config that a job gets besides its package: the versions they had when it was accepted.
-- Its twin is migrations/postgres/00014_inputs.sql.

-- +goose Up
CREATE TABLE job_files (
    job_id      TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    account_id  INTEGER NOT NULL,
    file_key    TEXT NOT NULL,
    version     INTEGER NOT NULL,
    sha256      TEXT NOT NULL,
    size        INTEGER NOT NULL,
    source_type TEXT NOT NULL,
    source_id   INTEGER NOT NULL,
    PRIMARY KEY (job_id, file_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_files_source ON job_files (account_id, source_type, source_id, file_key);

-- +goose Down
DROP TABLE job_files;
