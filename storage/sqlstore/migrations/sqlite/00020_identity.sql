-- What is known of a user besides the name, by whom and when it was written, and whom an identity provider knows the user as. The
-- attempts to sign in, of which a bounded number is kept for each user.
-- Its twin is migrations/postgres/00020_identity.sql.

-- +goose Up
ALTER TABLE users ADD COLUMN email TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN first_name TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN last_name TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN street TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN city TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN state TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN postal_code TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN country TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN sso_issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN sso_subject TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN created_by_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN created_by_name TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN modified_by_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN modified_by_name TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN modified_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN change INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX users_sso ON users (sso_issuer, sso_subject) WHERE sso_subject <> '';

CREATE TABLE login_attempts (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    user_id    INTEGER NOT NULL,
    username   TEXT NOT NULL, -- as it was at the time
    at         INTEGER NOT NULL, -- microseconds
    success    INTEGER NOT NULL CHECK (success IN (0, 1)),
    word       TEXT NOT NULL, -- why it was refused; empty for a success
    method     TEXT NOT NULL, -- password, basic, sso
    address    TEXT NOT NULL
) STRICT;
CREATE INDEX login_attempts_user ON login_attempts (user_id, success, id);
CREATE INDEX login_attempts_account ON login_attempts (account_id, at, id);
CREATE INDEX login_attempts_at ON login_attempts (at);

-- +goose Down
DROP TABLE login_attempts;
DROP INDEX users_sso;
ALTER TABLE users DROP COLUMN change;
ALTER TABLE users DROP COLUMN modified_at;
ALTER TABLE users DROP COLUMN modified_by_name;
ALTER TABLE users DROP COLUMN modified_by_id;
ALTER TABLE users DROP COLUMN created_by_name;
ALTER TABLE users DROP COLUMN created_by_id;
ALTER TABLE users DROP COLUMN sso_subject;
ALTER TABLE users DROP COLUMN sso_issuer;
ALTER TABLE users DROP COLUMN country;
ALTER TABLE users DROP COLUMN postal_code;
ALTER TABLE users DROP COLUMN state;
ALTER TABLE users DROP COLUMN city;
ALTER TABLE users DROP COLUMN street;
ALTER TABLE users DROP COLUMN last_name;
ALTER TABLE users DROP COLUMN first_name;
ALTER TABLE users DROP COLUMN email;
