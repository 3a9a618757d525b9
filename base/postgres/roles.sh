#!/bin/sh
# Run once, on an empty data folder: a role for each consumer that owns a database of its own and nothing else.
set -eu
psql --set ON_ERROR_STOP=1 --username postgres --set password="$(cat /users/mlflow/PASSWORD)" <<'SQL'
CREATE ROLE mlflow LOGIN PASSWORD :'password';
CREATE DATABASE mlflow OWNER mlflow;
REVOKE ALL ON DATABASE mlflow FROM PUBLIC;
SQL
