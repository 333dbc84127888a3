-- Files of the config that a job gets besides its package: the versions they had when it was accepted.
-- Its twin is migrations/sqlite/00014_inputs.sql.

-- +goose Up
CREATE TABLE job_files (
    job_id      text COLLATE "C" NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    account_id  bigint NOT NULL,
    file_key    text COLLATE "C" NOT NULL,
    version     bigint NOT NULL,
    sha256      text COLLATE "C" NOT NULL,
    size        bigint NOT NULL,
    source_type text COLLATE "C" NOT NULL,
    source_id   bigint NOT NULL,
    PRIMARY KEY (job_id, file_key)
);

CREATE INDEX job_files_source ON job_files (account_id, source_type, source_id, file_key);

-- +goose Down
DROP TABLE job_files;
