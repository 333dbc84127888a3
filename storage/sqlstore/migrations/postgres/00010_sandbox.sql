-- What held the program of a job back while it ran: shown with the job and with each of its attempts.
-- Its twin is migrations/sqlite/00010_sandbox.sql.

-- +goose Up
ALTER TABLE jobs ADD COLUMN sandbox text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE job_attempts ADD COLUMN sandbox text COLLATE "C" NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE jobs DROP COLUMN sandbox;
ALTER TABLE job_attempts DROP COLUMN sandbox;
