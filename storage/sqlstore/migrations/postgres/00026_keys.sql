-- Which API key a key was made with: it ends with that one, whoever deletes it. And what each act of the audit log was shown: NULL in entries
-- of before. Its twin is migrations/sqlite/00026_keys.sql.

-- +goose Up
ALTER TABLE api_keys ADD COLUMN parent text COLLATE "C" REFERENCES api_keys (id) ON DELETE CASCADE;
CREATE INDEX api_keys_parent ON api_keys (parent);

ALTER TABLE audit_log ADD COLUMN credential text COLLATE "C";
ALTER TABLE audit_log ADD COLUMN credential_id text COLLATE "C";

-- +goose Down
ALTER TABLE audit_log DROP COLUMN credential_id;
ALTER TABLE audit_log DROP COLUMN credential;

DROP INDEX api_keys_parent;
ALTER TABLE api_keys DROP COLUMN parent;
