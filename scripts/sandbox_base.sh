#!/bin/sh
# Makes the base of the sandboxes' image out of Debian packages, for where no registry of
# images can be reached. Root on Debian only. Kept between runs; prints where it is.
#
#   sh scripts/sandbox_base.sh
set -eu
SUITE=bookworm
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/strop"
TAR="$CACHE/sandbox-base-$SUITE-$(dpkg --print-architecture).tar"
# Where this machine's own packages come from, unless told.
OWN=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $SUITE" 'Component: main' 2>/dev/null | head -n 1)
MIRROR="${DEBIAN_MIRROR:-${OWN:-http://deb.debian.org/debian}}"

[ -s "$TAR" ] && { printf '%s\n' "$TAR"; exit 0; }
mkdir -p "$CACHE"
exec 9>"$TAR.lock"
flock 9
[ -s "$TAR" ] && { printf '%s\n' "$TAR"; exit 0; }
printf '%s\n' "making the image of docker sandboxes from Debian packages, once; this takes a minute" >&2
ROOT=$(mktemp -d "$CACHE/base.XXXXXX")
trap 'rm -rf "$ROOT" "$TAR.part"' EXIT
chmod 755 "$ROOT"
if ! debootstrap --variant=minbase --include=python3,ca-certificates "$SUITE" "$ROOT" "$MIRROR" \
    >"$CACHE/debootstrap.log" 2>&1; then
    tail -n 3 "$CACHE/debootstrap.log" "$ROOT/debootstrap/debootstrap.log" >&2
    exit 1
fi
rm -rf "$ROOT"/var/cache/apt/archives/*.deb "$ROOT"/var/lib/apt/lists/* \
    "$ROOT"/usr/share/doc "$ROOT"/usr/share/man "$ROOT"/usr/share/locale
tar -cf "$TAR.part" --numeric-owner -C "$ROOT" .
mv "$TAR.part" "$TAR"
printf '%s\n' "$TAR"
