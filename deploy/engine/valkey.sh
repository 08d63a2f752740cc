#!/bin/sh
# Starts the stand-in for valkey/valkey as the real image does: words that begin with "-" or end in ".conf" are the
# server's, and whoever reaches its port may use it, since a container publishes none by itself.
set -eu
case "${1:-}" in
  -* | *.conf) set -- valkey-server "$@" ;;
esac
if [ "${1:-}" = valkey-server ]; then
  set -- "$@" --protected-mode no
fi
exec "$@"
