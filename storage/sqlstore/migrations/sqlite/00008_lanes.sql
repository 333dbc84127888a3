-- Lanes: who waits, in order, and who holds a place. A job is in one of the two indexes while it is not final, so that filling
-- a free place reads as much of a lane of ten thousand jobs as of one of ten. Its twin is migrations/postgres/00008_lanes.sql: same
-- columns and indexes.
--
-- cancel_due marks a cancel that is stored and that the engine has not been seen to take; the reconciler passes it on.

-- +goose Up
CREATE INDEX jobs_lane_waiting ON jobs (account_id, lane, lane_seq)
    WHERE lane <> '' AND status = 'queued' AND reason = 'sequenced';
CREATE INDEX jobs_lane_places ON jobs (account_id, lane)
    WHERE lane <> '' AND status IN ('queued', 'running', 'cancelling') AND NOT (status = 'queued' AND reason = 'sequenced');

ALTER TABLE jobs ADD COLUMN cancel_due INTEGER NOT NULL DEFAULT 0 CHECK (cancel_due IN (0, 1));
CREATE INDEX jobs_cancel_due ON jobs (id) WHERE cancel_due;

-- +goose Down
DROP INDEX jobs_cancel_due;
ALTER TABLE jobs DROP COLUMN cancel_due;
DROP INDEX jobs_lane_places;
DROP INDEX jobs_lane_waiting;
