-- How many calls a caller made, where several processes count together (docs/adr/0021-limits.md). A crash of the server may empty
-- the table: callers then begin with an empty bucket, and nobody waits for the disk.
-- Its twin is migrations/sqlite/00024_calls.sql.

-- +goose Up
CREATE UNLOGGED TABLE call_buckets (
    caller   text COLLATE "C" NOT NULL PRIMARY KEY, -- what is limited, a blank, and who calls
    calls    double precision NOT NULL, -- in the bucket at the time
    at       bigint NOT NULL,           -- that time or, of a bucket that is emptied at once, when its window began
    fits     boolean NOT NULL,          -- whether the last call went in
    empty_at bigint NOT NULL            -- when the bucket will have run empty
) WITH (fillfactor = 70);
CREATE INDEX call_buckets_empty_at ON call_buckets (empty_at);

-- Networks that users signed in from with success: a wide attack on a user's name does not keep them out there.
CREATE TABLE login_places (
    subject text COLLATE "C" NOT NULL PRIMARY KEY, -- as in login_failures: user name and network
    seen_at bigint NOT NULL                        -- when somebody last signed in so, to the day
);
CREATE INDEX login_places_seen_at ON login_places (seen_at);

-- +goose Down
DROP TABLE login_places;
DROP TABLE call_buckets;
