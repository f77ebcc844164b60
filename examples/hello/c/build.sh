#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds a function's zip: build.sh [OUT.zip] (default: hello.zip in the current directory).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
library=$here/../../../runtimes/c
out=$(realpath -m "${1:-hello.zip}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2086 # CFLAGS is a list of options
${CC:-cc} -std=c11 -O2 -Wall -Wextra ${CFLAGS:-} -static -I"$library" -o "$work/bootstrap" "$here/hello.c" \
    "$library/sluice_runtime.c" "$library/sluice_json.c"
rm -f "$out"
(cd "$work" && python3 -m zipfile -c "$out" bootstrap)
echo "$out"
