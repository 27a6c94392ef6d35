#!/bin/sh
# Strop in a container: a file in /run/secrets that is named like a setting or a provider's key
# becomes that variable, so that secrets stand in no configuration and no `docker inspect`.
set -eu
folder=${SECRETS_FOLDER:-/run/secrets}
unset SECRETS_FOLDER
for file in "$folder"/*; do
    name=${file##*/}
    case $name in
    *[!A-Z0-9_]* | [0-9]*) continue ;;
    STROP_* | *_API_KEY) ;;
    *) continue ;;
    esac
    [ -f "$file" ] || continue
    value=$(cat "$file") # a file that is there but cannot be read ends it here
    export "$name=$value"
done
exec /opt/strop/strop "$@"
