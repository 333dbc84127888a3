-- How many calls a caller made, where several processes count together (docs/adr/0021-limits.md).
-- Its twin is migrations/postgres/00024_calls.sql.

-- +goose Up
CREATE TABLE call_buckets (
    caller   TEXT NOT NULL PRIMARY KEY, -- what is limited, a blank, and who calls
    calls    REAL NOT NULL,             -- in the bucket at the time
    at       INTEGER NOT NULL,          -- that time or, of a bucket that is emptied at once, when its window began
    fits     BOOLEAN NOT NULL,          -- whether the last call went in
    empty_at INTEGER NOT NULL           -- when the bucket will have run empty
);
CREATE INDEX call_buckets_empty_at ON call_buckets (empty_at);

-- Networks that users signed in from with success: a wide attack on a user's name does not keep them out there.
CREATE TABLE login_places (
    subject TEXT NOT NULL PRIMARY KEY, -- as in login_failures: user name and network
    seen_at INTEGER NOT NULL           -- when somebody last signed in so, to the day
);
CREATE INDEX login_places_seen_at ON login_places (seen_at);

-- +goose Down
DROP TABLE login_places;
DROP TABLE call_buckets;
