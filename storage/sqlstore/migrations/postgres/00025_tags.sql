-- Ended jobs by their tags: counters, and an index in the order of lists. Its twin is migrations/sqlite/00025_tags.sql: same tables,
-- columns and indexes.
--
-- A job is entered when it ends, and taken out when it is deleted, by triggers, as in 00015_counts.sql; one without tags costs nothing. job_tagged
-- holds for each of its tags a row, by the status that it ended in, in the order of lists. job_tag_counts is job_counts for each tag,
-- job_tag_count_changes what is to be added to it. The columns of job_tagged have names that jobs does not have, because both are read together.
--
-- Statements stand alone here, as in 00015_counts.sql. Each may be done twice.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS job_tagged (
    account  bigint NOT NULL,
    tag      text COLLATE "C" NOT NULL,
    ended_as text COLLATE "C" NOT NULL,
    at       bigint NOT NULL,
    job_id   text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, tag, ended_as, at, job_id)
);

CREATE TABLE IF NOT EXISTS job_tag_counts (
    key               text COLLATE "C" NOT NULL PRIMARY KEY,
    tag               text COLLATE "C" NOT NULL,
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

CREATE INDEX IF NOT EXISTS job_tag_counts_tag ON job_tag_counts (account_id, tag);

CREATE TABLE IF NOT EXISTS job_tag_count_changes (
    seq               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tag               text COLLATE "C" NOT NULL,
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

CREATE INDEX IF NOT EXISTS job_tag_count_changes_tag ON job_tag_count_changes (account_id, tag);

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION waybill_count_job_tags() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM job_tagged WHERE account = OLD.account_id AND tag IN (SELECT jsonb_array_elements_text(OLD.tags::jsonb))
            AND ended_as = OLD.status AND at = OLD.scheduled_at AND job_id = OLD.id;
        INSERT INTO job_tag_count_changes (tag, account_id, owner_id, config_id, config_name, config_name_fold, package_name, package_name_fold, entry_point, entry_point_fold,
        submitted_by_id, submitted_by_name, submitted_by_fold, destination_id, status, reason, taken, jobs, micros)
        SELECT DISTINCT t.tag, OLD.account_id, OLD.owner_id, OLD.config_id, OLD.config_name, OLD.config_name_fold, OLD.package_name, OLD.package_name_fold, OLD.entry_point, OLD.entry_point_fold,
            OLD.submitted_by_id, OLD.submitted_by_name, OLD.submitted_by_fold, OLD.destination_id, OLD.status, OLD.reason, OLD.taken, -1,
            -coalesce(OLD.finished_at - OLD.started_at, 0)
        FROM jsonb_array_elements_text(OLD.tags::jsonb) AS t (tag);
    ELSE
        INSERT INTO job_tagged (account, tag, ended_as, at, job_id)
        SELECT DISTINCT NEW.account_id, t.tag, NEW.status, NEW.scheduled_at, NEW.id FROM jsonb_array_elements_text(NEW.tags::jsonb) AS t (tag)
        ON CONFLICT DO NOTHING;
        INSERT INTO job_tag_count_changes (tag, account_id, owner_id, config_id, config_name, config_name_fold, package_name, package_name_fold, entry_point, entry_point_fold,
        submitted_by_id, submitted_by_name, submitted_by_fold, destination_id, status, reason, taken, jobs, micros)
        SELECT DISTINCT t.tag, NEW.account_id, NEW.owner_id, NEW.config_id, NEW.config_name, NEW.config_name_fold, NEW.package_name, NEW.package_name_fold, NEW.entry_point, NEW.entry_point_fold,
            NEW.submitted_by_id, NEW.submitted_by_name, NEW.submitted_by_fold, NEW.destination_id, NEW.status, NEW.reason, NEW.taken, 1,
            coalesce(NEW.finished_at - NEW.started_at, 0)
        FROM jsonb_array_elements_text(NEW.tags::jsonb) AS t (tag);
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE OR REPLACE TRIGGER jobs_count_tags_ended AFTER UPDATE OF finished_at ON jobs FOR EACH ROW
    WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL AND NEW.tags <> '[]') EXECUTE FUNCTION waybill_count_job_tags();
CREATE OR REPLACE TRIGGER jobs_count_tags_made AFTER INSERT ON jobs FOR EACH ROW
    WHEN (NEW.finished_at IS NOT NULL AND NEW.tags <> '[]') EXECUTE FUNCTION waybill_count_job_tags();
CREATE OR REPLACE TRIGGER jobs_count_tags_deleted AFTER DELETE ON jobs FOR EACH ROW
    WHEN (OLD.finished_at IS NOT NULL AND OLD.tags <> '[]') EXECUTE FUNCTION waybill_count_job_tags();

-- All that ended so far. The changes that the second statement sees are those of jobs that it counts, so they go. A job that is deleted
-- meanwhile may leave a row in job_tagged, which no list shows: it is read together with jobs.
-- +goose StatementBegin
DO $$
BEGIN
    DELETE FROM job_tag_counts;
    WITH counted AS (DELETE FROM job_tag_count_changes RETURNING seq)
    INSERT INTO job_tag_counts (key, tag, account_id, owner_id, config_id, config_name, config_name_fold, package_name, package_name_fold, entry_point, entry_point_fold,
        submitted_by_id, submitted_by_name, submitted_by_fold, destination_id, status, reason, taken, jobs, micros)
    SELECT md5(row(t.tag, account_id, owner_id, config_id, config_name, package_name, entry_point, submitted_by_id, submitted_by_name, destination_id, status, reason, taken)::text),
        t.tag, account_id, owner_id, config_id, config_name, min(config_name_fold), package_name, min(package_name_fold), entry_point, min(entry_point_fold),
        submitted_by_id, submitted_by_name, min(submitted_by_fold), destination_id, status, reason, taken,
        count(*), coalesce(sum(finished_at - started_at), 0)
    FROM jobs CROSS JOIN LATERAL (SELECT DISTINCT e.tag FROM jsonb_array_elements_text(jobs.tags::jsonb) AS e (tag)) AS t
    WHERE finished_at IS NOT NULL AND tags <> '[]'
    GROUP BY t.tag, account_id, owner_id, config_id, config_name, package_name, entry_point, submitted_by_id, submitted_by_name, destination_id, status, reason, taken;
    INSERT INTO job_tagged (account, tag, ended_as, at, job_id)
    SELECT account_id, t.tag, status, scheduled_at, id
    FROM jobs CROSS JOIN LATERAL (SELECT DISTINCT e.tag FROM jsonb_array_elements_text(jobs.tags::jsonb) AS e (tag)) AS t
    WHERE finished_at IS NOT NULL AND tags <> '[]'
    ON CONFLICT DO NOTHING;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER IF EXISTS jobs_count_tags_deleted ON jobs;
DROP TRIGGER IF EXISTS jobs_count_tags_made ON jobs;
DROP TRIGGER IF EXISTS jobs_count_tags_ended ON jobs;
DROP FUNCTION IF EXISTS waybill_count_job_tags();
DROP TABLE IF EXISTS job_tag_count_changes;
DROP TABLE IF EXISTS job_tag_counts;
DROP TABLE IF EXISTS job_tagged;
