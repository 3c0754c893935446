#!/bin/sh
# What the tests need from the system: PostgreSQL's server, a Chromium, and Node for the clients that need it. Where they
# are missing and apt-get can be used, they are installed; elsewhere the message says what is missing, and the tests
# that need it say so too.
set -eu

need=""
if [ "${1:-}" = venv ]; then
  need=" python3-venv"
else
  ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 || need="$need postgresql"
  command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 \
    || command -v google-chrome >/dev/null 2>&1 || need="$need chromium"
  command -v wrk >/dev/null 2>&1 || need="$need wrk"
  command -v node >/dev/null 2>&1 || need="$need nodejs"
  command -v npm >/dev/null 2>&1 || need="$need npm"
fi
[ -n "$need" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing:$need"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >/dev/null
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $need >/dev/null
else
  echo "missing:$need - install with: sudo apt-get install$need" >&2
fi
