#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the bot into a function's zip: build.sh [OUT.zip] (default: bot.zip in the current directory).
# With libcurl's headers (Debian: libcurl4-openssl-dev) it can call the Bot API; the library itself must then be on the
# machine that runs it. Without them, or with WEBHOOK_ONLY=1, it is a static program for TELEGRAM_REPLY=webhook.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
library=$here/../../../runtimes/c
out=$(realpath -m "${1:-bot.zip}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "${WEBHOOK_ONLY:-}" ] && echo '#include <curl/curl.h>' | ${CC:-cc} -E - >/dev/null 2>&1; then
    how=-lcurl
else
    echo "build.sh: without libcurl, for TELEGRAM_REPLY=webhook only" >&2
    how='-DWEBHOOK_ONLY -static'
fi
# shellcheck disable=SC2086 # $how is a list of options
${CC:-cc} -std=c11 -O2 -Wall -Wextra ${CFLAGS:-} -I"$library" -o "$work/bootstrap" "$here/bot.c" "$here/api.c" \
    "$library/sluice_runtime.c" "$library/sluice_json.c" $how
rm -f "$out"
(cd "$work" && python3 -m zipfile -c "$out" bootstrap)
echo "$out"
