#!/bin/sh
# Makes Temporal's tables, or brings them up to the version of these tools. Safe to run at every start.
set -eu
schema() { # DATABASE FOLDER
	export SQL_DATABASE="$1"
	version=$(temporal-sql-tool update-schema --schema-name "postgresql/v12/$2" 2>&1) && return 0
	case $version in
	*schema_version*) ;; # there are no tables yet
	*) echo "$version" >&2 && return 1 ;;
	esac
	temporal-sql-tool setup-schema --version 0.0
	temporal-sql-tool update-schema --schema-name "postgresql/v12/$2"
}
SQL_PASSWORD=$(cat "${SECRETS:-/run/secrets}/temporal-database-password")
export SQL_PASSWORD SQL_PLUGIN="${SQL_PLUGIN:-postgres12}" SQL_PORT="${SQL_PORT:-5432}"
schema "${TEMPORAL_DATABASE:-temporal}" temporal
schema "${TEMPORAL_VISIBILITY_DATABASE:-temporal_visibility}" visibility
