-- Counters of the jobs that ended, and indexes for lists of them. Its twin is migrations/sqlite/00015_counts.sql: same tables, columns
-- and indexes.
--
-- A job is counted when it ends and no more when it is deleted, by triggers: every program that writes jobs keeps the counters
-- right, also one of an older version that still runs while this one is rolled out. Jobs that have not ended are few and are
-- counted themselves, by the index jobs_unfinished. micros is the sum of their times from start to end.
--
-- job_count_changes takes a row for each change, so that no two transactions wait for one another; they are added to job_counts
-- from time to time, and who counts adds both. key is a digest of what is counted by, because texts may be longer than an index
-- takes.
--
-- Statements stand alone here, for indexes are made without keeping writers out. Each may be done twice.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS job_counts (
    key               text COLLATE "C" NOT NULL PRIMARY KEY,
    account_id        bigint NOT NULL,
    owner_id          bigint NOT NULL,
    config_id         bigint NOT NULL,
    config_name       text COLLATE "C" NOT NULL,
    config_name_fold  text COLLATE "C",
    package_name      text COLLATE "C" NOT NULL,
    package_name_fold text COLLATE "C",
    entry_point       text COLLATE "C" NOT NULL,
    entry_point_fold  text COLLATE "C",
    submitted_by_id   bigint NOT NULL,
    submitted_by_name text COLLATE "C" NOT NULL,
    submitted_by_fold text COLLATE "C",
    destination_id    bigint NOT NULL,
    status            text COLLATE "C" NOT NULL,
    reason            text COLLATE "C" NOT NULL,
    taken             boolean NOT NULL,
    jobs              bigint NOT NULL,
    micros            bigint NOT NULL
);

CREATE INDEX IF NOT EXISTS job_counts_account ON job_counts (account_id);

CREATE TABLE IF NOT EXISTS job_count_changes (
    seq               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id        bigint NOT NULL,
    owner_id          bigint NOT NULL,
    config_id         bigint NOT NULL,
    config_name       text COLLATE "C" NOT NULL,
    config_name_fold  text COLLATE "C",
    package_name      text COLLATE "C" NOT NULL,
    package_name_fold text COLLATE "C",
    entry_point       text COLLATE "C" NOT NULL,
    entry_point_fold  text COLLATE "C",
    submitted_by_id   bigint NOT NULL,
    submitted_by_name text COLLATE "C" NOT NULL,
    submitted_by_fold text COLLATE "C",
    destination_id    bigint NOT NULL,
    status            text COLLATE "C" NOT NULL,
    reason            text COLLATE "C" NOT NULL,
    taken             boolean NOT NULL,
    jobs              bigint NOT NULL,
    micros            bigint NOT NULL
);

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION waybill_count_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO job_count_changes (account_id, owner_id, config_id, config_name, config_name_fold, package_name, package_name_fold, entry_point, entry_point_fold,
        submitted_by_id, submitted_by_name, submitted_by_fold, destination_id, status, reason, taken, jobs, micros)
        VALUES (OLD.account_id, OLD.owner_id, OLD.config_id, OLD.config_name, OLD.config_name_fold, OLD.package_name, OLD.package_name_fold, OLD.entry_point, OLD.entry_point_fold, OLD.submitted_by_id, OLD.submitted_by_name, OLD.submitted_by_fold, OLD.destination_id, OLD.status, OLD.reason, OLD.taken, -1,
            -coalesce(OLD.finished_at - OLD.started_at, 0));
    ELSE
        INSERT INTO job_count_changes (account_id, owner_id, config_id, config_name, config_name_fold, package_name, package_name_fold, entry_point, entry_point_fold,
        submitted_by_id, submitted_by_name, submitted_by_fold, destination_id, status, reason, taken, jobs, micros)
        VALUES (NEW.account_id, NEW.owner_id, NEW.config_id, NEW.config_name, NEW.config_name_fold, NEW.package_name, NEW.package_name_fold, NEW.entry_point, NEW.entry_point_fold, NEW.submitted_by_id, NEW.submitted_by_name, NEW.submitted_by_fold, NEW.destination_id, NEW.status, NEW.reason, NEW.taken, 1,
            coalesce(NEW.finished_at - NEW.started_at, 0));
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE OR REPLACE TRIGGER jobs_count_ended AFTER UPDATE OF finished_at ON jobs FOR EACH ROW
    WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL) EXECUTE FUNCTION waybill_count_job();
CREATE OR REPLACE TRIGGER jobs_count_made AFTER INSERT ON jobs FOR EACH ROW
    WHEN (NEW.finished_at IS NOT NULL) EXECUTE FUNCTION waybill_count_job();
CREATE OR REPLACE TRIGGER jobs_count_deleted AFTER DELETE ON jobs FOR EACH ROW
    WHEN (OLD.finished_at IS NOT NULL) EXECUTE FUNCTION waybill_count_job();

-- All that ended so far. The statement sees jobs and changes as they were at one moment: the changes it sees are those of jobs it
-- counts, so they go; later ones are counted later.
-- +goose StatementBegin
DO $$
BEGIN
    DELETE FROM job_counts;
    WITH counted AS (DELETE FROM job_count_changes RETURNING seq)
    INSERT INTO job_counts (key, account_id, owner_id, config_id, config_name, config_name_fold, package_name, package_name_fold, entry_point, entry_point_fold,
        submitted_by_id, submitted_by_name, submitted_by_fold, destination_id, status, reason, taken, jobs, micros)
    SELECT md5(row(account_id, owner_id, config_id, config_name, package_name, entry_point, submitted_by_id, submitted_by_name, destination_id, status, reason, taken)::text),
        account_id, owner_id, config_id, config_name, min(config_name_fold), package_name, min(package_name_fold), entry_point, min(entry_point_fold),
        submitted_by_id, submitted_by_name, min(submitted_by_fold), destination_id, status, reason, taken,
        count(*), coalesce(sum(finished_at - started_at), 0)
    FROM jobs WHERE finished_at IS NOT NULL
    GROUP BY account_id, owner_id, config_id, config_name, package_name, entry_point, submitted_by_id, submitted_by_name, destination_id, status, reason, taken;
END
$$;
-- +goose StatementEnd

-- An index that is made beside writers waits for transactions that are older; it holds nobody up meanwhile.
SET lock_timeout = '15min';
DROP INDEX CONCURRENTLY IF EXISTS jobs_ended;
CREATE INDEX CONCURRENTLY jobs_ended ON jobs (account_id, status, scheduled_at, id) WHERE finished_at IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS jobs_config_ended;
CREATE INDEX CONCURRENTLY jobs_config_ended ON jobs (account_id, config_id, status, scheduled_at, id) WHERE finished_at IS NOT NULL;
RESET lock_timeout;

-- +goose Down
SET lock_timeout = '15min';
DROP INDEX CONCURRENTLY IF EXISTS jobs_config_ended;
DROP INDEX CONCURRENTLY IF EXISTS jobs_ended;
RESET lock_timeout;
DROP TRIGGER IF EXISTS jobs_count_deleted ON jobs;
DROP TRIGGER IF EXISTS jobs_count_made ON jobs;
DROP TRIGGER IF EXISTS jobs_count_ended ON jobs;
DROP FUNCTION IF EXISTS waybill_count_job();
DROP TABLE IF EXISTS job_count_changes;
DROP TABLE IF EXISTS job_counts;
