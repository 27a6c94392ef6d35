#!/bin/sh
# Makes the passwords of docker-compose.yml: a folder that only you can enter, and a line in .env
# that names it. What is there stays as it is, so it can be run again.
#
#   sh scripts/compose_env.sh [FOLDER OF docker-compose.yml]
set -eu
cd "${1:-$(dirname "$0")/..}"
folder=deploy/secrets
umask 077
mkdir -p "$folder"
chmod 700 "$folder"
if [ ! -s "$folder/postgres_password" ]; then
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$folder/postgres_password"
fi
password=$(cat "$folder/postgres_password")
printf 'postgresql+psycopg://strop:%s@postgres:5432/strop' "$password" >"$folder/database_url.new"
mv "$folder/database_url.new" "$folder/database_url"
# The users inside the containers must read them; the folder keeps out everyone else here.
chmod 444 "$folder/postgres_password" "$folder/database_url"
touch .env
if ! grep -q '^SECRETS=' .env; then
    printf 'SECRETS=./%s\n' "$folder" >>.env
fi
echo "compose-env: the passwords are in $folder; .env is the place for keys of model providers"
