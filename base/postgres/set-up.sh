#!/bin/sh
# Makes a role for each folder of /users (its password) that owns a database of its own name and nothing else. A new password in the
# Secret becomes the role's.
set -eu
for folder in /users/*; do
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set role="${folder##*/}" --set password="$(cat "$folder/PASSWORD")" --dbname postgres <<'SQL'
SELECT format('CREATE ROLE %I LOGIN', :'role') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
ALTER ROLE :"role" PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'role', :'role') WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'role') \gexec
REVOKE ALL ON DATABASE :"role" FROM PUBLIC;
SQL
done
