-- What accounts set for themselves, and retention. Its twin is migrations/sqlite/00007_retention.sql: same tables, columns and
-- indexes.

-- +goose Up
ALTER TABLE accounts ADD COLUMN description text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN max_timeout bigint NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN retention text COLLATE "C" NOT NULL DEFAULT '{}';
ALTER TABLE accounts ADD COLUMN user_domains text COLLATE "C" NOT NULL DEFAULT '[]';
ALTER TABLE accounts ADD COLUMN change bigint NOT NULL DEFAULT 1;
-- JSON of what the last run of the retention did here; '' before the first.
ALTER TABLE accounts ADD COLUMN retention_result text COLLATE "C" NOT NULL DEFAULT '';

-- rules.retention again, as numbers that can be searched.
ALTER TABLE job_configs ADD COLUMN keep_age bigint NOT NULL DEFAULT 0;
ALTER TABLE job_configs ADD COLUMN keep_count bigint NOT NULL DEFAULT 0;
CREATE INDEX job_configs_keep ON job_configs (account_id, id) WHERE keep_age > 0 OR keep_count > 0;

-- The jobs that ended, by when they did: of an account, of a config.
CREATE INDEX jobs_finished ON jobs (account_id, finished_at, id, config_id) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_config_finished ON jobs (account_id, config_id, finished_at, id) WHERE finished_at IS NOT NULL;

-- Jobs whose rows are gone, and whose histories and objects are still to be deleted.
CREATE TABLE job_purges (
    job_id     text COLLATE "C"    NOT NULL PRIMARY KEY,
    account_id bigint NOT NULL,
    taken_at   bigint NOT NULL
);

-- A deleted file key is looked at from purge_after on: do jobs still need its versions?
ALTER TABLE file_keys ADD COLUMN purge_after bigint NOT NULL DEFAULT 0;
CREATE INDEX file_keys_deleted ON file_keys (purge_after) WHERE deleted;
CREATE INDEX file_versions_sha256 ON file_versions (account_id, sha256);

-- Bytes that no version refers to any more, with the key they came from.
CREATE TABLE blob_purges (
    account_id  bigint NOT NULL,
    sha256      text COLLATE "C"    NOT NULL,
    entity_type text COLLATE "C"    NOT NULL,
    entity_id   bigint NOT NULL,
    file_key    text COLLATE "C"    NOT NULL,
    purge_after bigint NOT NULL,
    deleting    boolean NOT NULL,
    PRIMARY KEY (account_id, sha256, entity_type, entity_id, file_key)
);

CREATE INDEX blob_purges_after ON blob_purges (purge_after);

-- +goose Down
DROP TABLE blob_purges;
DROP INDEX file_versions_sha256;
DROP INDEX file_keys_deleted;
ALTER TABLE file_keys DROP COLUMN purge_after;
DROP TABLE job_purges;
DROP INDEX jobs_config_finished;
DROP INDEX jobs_finished;
DROP INDEX job_configs_keep;
ALTER TABLE job_configs DROP COLUMN keep_count;
ALTER TABLE job_configs DROP COLUMN keep_age;
ALTER TABLE accounts DROP COLUMN retention_result;
ALTER TABLE accounts DROP COLUMN change;
ALTER TABLE accounts DROP COLUMN user_domains;
ALTER TABLE accounts DROP COLUMN retention;
ALTER TABLE accounts DROP COLUMN max_timeout;
ALTER TABLE accounts DROP COLUMN description;
