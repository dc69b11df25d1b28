#!/bin/sh
# Run once, on an empty data folder: gonogo's own database and role beside Temporal's.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$GONOGO_DATABASE_PASSWORD" -U "$POSTGRES_USER" -d postgres <<'SQL'
create role gonogo login password :'password';
create database gonogo owner gonogo;
SQL
