-- Access policies: what general users may do beside what is theirs, and which users have them. What a policy permits is read whole at
-- every call of a user who has it, so it is one text.
-- Its twin is migrations/postgres/00021_access.sql.

-- +goose Up
CREATE TABLE access_policies (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id       INTEGER NOT NULL REFERENCES accounts (id),
    name             TEXT NOT NULL,
    name_key         TEXT NOT NULL,
    description      TEXT NOT NULL,
    description_fold TEXT,
    permissions      TEXT NOT NULL, -- JSON
    created_at       INTEGER NOT NULL,
    created_by_id    INTEGER NOT NULL,
    created_by_name  TEXT NOT NULL,
    created_by_fold  TEXT,
    modified_at      INTEGER NOT NULL,
    modified_by_id   INTEGER NOT NULL,
    modified_by_name TEXT NOT NULL,
    modified_by_fold TEXT
) STRICT;

CREATE UNIQUE INDEX access_policies_name ON access_policies (account_id, name_key);

CREATE TABLE user_access_policies (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id       INTEGER NOT NULL REFERENCES users (id),
    policy_id     INTEGER NOT NULL REFERENCES access_policies (id),
    account_id    INTEGER NOT NULL,
    given_at      INTEGER NOT NULL,
    given_by_id   INTEGER NOT NULL,
    given_by_name TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX user_access_policies_user ON user_access_policies (user_id, policy_id);
CREATE INDEX user_access_policies_policy ON user_access_policies (policy_id);
CREATE INDEX user_access_policies_account ON user_access_policies (account_id, policy_id);

-- +goose Down
DROP TABLE user_access_policies;
DROP TABLE access_policies;
