#!/bin/sh
# Tries docker-compose.yml for real: builds, starts, submits tasks, kills a worker in the midst
# and waits until the other one has finished everything. Takes about five minutes; no part
# of `make test`. Needs a Docker engine with BuildKit and the compose plugin, and curl.
#
#   sh scripts/try_compose.sh
#   BASE_IMAGE=my-debian:12 POSTGRES_IMAGE=strop-postgres:local BUILD="--network host" sh scripts/try_compose.sh
#
# BUILD goes to every `docker build`. A POSTGRES_IMAGE of strop-postgres:local is built from Debian's
# packages, where the public image cannot be pulled. Its project is called strop-try; it removes its
# containers, volumes and passwords at the end, images stay.
set -eu
cd "$(dirname "$0")/.."
command -v docker >/dev/null && docker compose version >/dev/null 2>&1 ||
    { echo "try_compose: expected docker with the compose plugin" >&2; exit 3; }
export DOCKER_BUILDKIT=1 COMPOSE_PROJECT_NAME=strop-try BASE_IMAGE="${BASE_IMAGE:-debian:12-slim}"
export PUBLISH="${PUBLISH:-127.0.0.1:18321}"
TASKS=${TASKS:-30}
had_secrets=$([ -d deploy/secrets ] && echo yes || echo no)
had_env=$([ -f .env ] && echo yes || echo no)
work=$(mktemp -d)
clean() {
    docker compose down --volumes --timeout 10 >/dev/null 2>&1 || true
    [ "$had_secrets" = yes ] || rm -rf deploy/secrets
    [ "$had_env" = yes ] || rm -f .env
    rm -rf "$work"
}
trap clean EXIT INT TERM

say() { printf '%s\n' "try_compose: $*"; }
build() { # further words of docker build
    # shellcheck disable=SC2086
    timeout 900 docker build -q ${BUILD:-} --build-arg "BASE=$BASE_IMAGE" "$@" . >/dev/null
}
ask() { # path, further options of curl; the key is handed over in a file, not as an argument
    path=$1
    shift
    curl -fsS -m 20 -H @"$work/key" "$@" "http://$PUBLISH/api/v1/$path"
}
sql() { docker compose exec -T postgres psql -h "$socket" -U strop -tAc "$1"; }

sh scripts/compose_env.sh
say "building"
build -t strop:local
build -t strop-browser:local -f deploy/browser/Dockerfile
socket=/var/run/postgresql
if [ "${POSTGRES_IMAGE:-}" = strop-postgres:local ]; then
    build -t strop-postgres:local -f deploy/postgres/Dockerfile
    socket=/tmp
fi
say "what the container can do"
timeout 180 docker compose run --rm -T cli doctor </dev/null
(umask 077 && timeout 60 docker compose run --rm -T cli keys create try --scope admin </dev/null 2>/dev/null |
    sed -n 's/.*\(strop_[A-Za-z0-9_-]*\).*/Authorization: Bearer \1/p' | head -n 1 >"$work/key")
[ -s "$work/key" ] || { say "no key was made"; exit 1; }
timeout 240 docker compose up -d --no-build --wait
docker compose ps --format '{{.Service}} {{.Status}}'
number=0
while [ "$number" -lt "$TASKS" ]; do
    number=$((number + 1))
    ask tasks -o /dev/null -H 'Content-Type: application/json' \
        -d "{\"instruction\": \"What is $number % of 2,300?\"}"
done
docker kill -s KILL strop-try-worker-1-1 >/dev/null
say "killed a worker; tasks now: $(sql 'select status, count(*) from tasks group by 1' | tr '\n' ' ')"
tries=0
until [ "$(sql "select count(*) from tasks where status = 'succeeded'")" = "$TASKS" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 120 ] || { say "not all were finished"; exit 1; }
    sleep 1
done
say "all $TASKS succeeded; deaths: $(sql 'select deaths, count(*) from tasks group by 1' | tr '\n' ' ')"
