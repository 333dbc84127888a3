-- What a worker says of itself besides its status, such as that its disk is full. What was found in the object store that no
-- row knows: it is deleted when it has been so for some time; and how far the last look got.
-- Its twin is migrations/sqlite/00019_objects.sql.

-- +goose Up
ALTER TABLE workers ADD COLUMN note text COLLATE "C" NOT NULL DEFAULT '';

CREATE TABLE object_orphans (
    prefix  text COLLATE "C" NOT NULL PRIMARY KEY, -- of the objects: a blob's key, a job's folder, the folder of an attempt's outputs
    seen_at bigint NOT NULL              -- when it was first found to be known by no row
);
CREATE TABLE object_sweep (
    id          bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    after_key   text COLLATE "C" NOT NULL, -- where the present round is; empty: between two rounds
    finished_at bigint NOT NULL  -- when the last round ended
);
INSERT INTO object_sweep (id, after_key, finished_at) VALUES (1, '', 0);

-- +goose Down
DROP TABLE object_sweep;
DROP TABLE object_orphans;
ALTER TABLE workers DROP COLUMN note;
