#!/bin/sh
# Makes the roles and databases of Waybill and of Temporal, once, when the data folder is new. Run by the image of PostgreSQL.
set -eu
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
	--set waybill="$(cat "${SECRETS:-/run/secrets}/waybill-database-password")" \
	--set temporal="$(cat "${SECRETS:-/run/secrets}/temporal-database-password")" <<'END'
CREATE ROLE waybill LOGIN PASSWORD :'waybill';
CREATE DATABASE waybill OWNER waybill;
CREATE ROLE temporal LOGIN PASSWORD :'temporal';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
REVOKE CONNECT ON DATABASE waybill, temporal, temporal_visibility FROM PUBLIC;
END
