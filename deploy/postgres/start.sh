#!/bin/sh
# Makes the database at the first start, with a password that must be given, then runs it.
set -eu
user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    if [ ! -s "${POSTGRES_PASSWORD_FILE:-}" ]; then
        echo "POSTGRES_PASSWORD_FILE: expected a file with the password of a new database" >&2
        exit 1
    fi
    initdb --username="$user" --pwfile="$POSTGRES_PASSWORD_FILE" --encoding=UTF8 \
        --locale=C.UTF-8 --auth-local=trust --auth-host=scram-sha-256 --data-checksums
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    if [ "$database" != postgres ]; then
        # Only the local socket answers until the database is there.
        pg_ctl -D "$PGDATA" -w -o "-c listen_addresses='' -c unix_socket_directories=/tmp" start
        createdb --host=/tmp --username="$user" "$database"
        pg_ctl -D "$PGDATA" -w -m fast stop
    fi
fi
exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp "$@"
