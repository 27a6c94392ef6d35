#!/bin/sh
# Chromium opens its debugging port on loopback only; socat lets the network in front of it.
# When either ends, so does the container, and it is started again.
set -eu
chromium --headless --disable-gpu --disable-dev-shm-usage --no-first-run \
    --disable-background-networking --disable-sync --user-data-dir=/tmp/profile \
    --remote-debugging-port=9223 "$@" about:blank &
browser=$!
socat TCP-LISTEN:9222,fork,reuseaddr,max-children=64 TCP:127.0.0.1:9223 &
relay=$!
trap 'kill "$browser" "$relay" 2>/dev/null' EXIT
trap 'exit 0' TERM INT
while kill -0 "$browser" 2>/dev/null && kill -0 "$relay" 2>/dev/null; do
    sleep 1 &
    wait $!
done
exit 1
