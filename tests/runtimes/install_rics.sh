#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs AWS's own runtime interface clients, as published, for tests that run them as functions:
#
#     install_rics.sh DIR        leaves DIR/python and DIR/nodejs, each the content of a function's zip but for the
#                                handler: add app.py or index.js, zip, create with --runtime provided.al2023 and
#                                --handler app.handler or index.handler
#
# Does nothing for what is there already in the wanted version; uses the package managers' own caches and settings.
# Python: a ready-made wheel for CPython 3.10-3.14 on x86-64 and ARM, needs pip (Debian: python3-pip).
# Node.js: compiled here, as the package is made that way. It builds its own curl and C++ client, about a minute. Needs on
# Debian 12: npm g++ make cmake autoconf automake libtool python3, and node's headers, which are taken from
# /usr/include/node where they exist (so that node-gyp need not download them).
set -eu

RIC_PYTHON=4.2.2
SIMPLEJSON=3.20.1
SNAPSHOT_RESTORE=1.0.0
RIC_NODEJS=3.3.0 # 4.x wants Node.js 22

[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
python=${PYTHON:-/usr/bin/python3}
[ -x "$python" ] || python=python3

need() { # commands, and the Debian packages that have them
    for tool in $1; do
        command -v "$tool" >/dev/null || { echo "$0: $tool is missing: apt-get install $2" >&2; exit 1; }
    done
}

bootstrap() { # folder, command
    printf '#!/bin/sh\n%s\n' "$2" >"$1/bootstrap"
    chmod 755 "$1/bootstrap"
}

install_python() {
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    stamp="awslambdaric $RIC_PYTHON simplejson $SIMPLEJSON python $version"
    [ "$(cat "$dir/python/.stamp" 2>/dev/null)" = "$stamp" ] && return
    rm -rf "$dir/python"
    mkdir "$dir/python"
    # The function runs with $python; pip may belong to another one, which then fetches for that version.
    if "$python" -m pip --version >/dev/null 2>&1; then
        set -- "$python" -m pip
    else
        need python3 python3-pip
        set -- python3 -m pip
    fi
    "$@" install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --target "$dir/python" \
        --python-version "$version" --only-binary :all: \
        "awslambdaric==$RIC_PYTHON" "simplejson==$SIMPLEJSON" "snapshot-restore-py==$SNAPSHOT_RESTORE"
    bootstrap "$dir/python" "exec $python -m awslambdaric \"\$_HANDLER\""
    (cd "$dir/python" && "$python" -c 'import awslambdaric.bootstrap, runtime_client')
    echo "$stamp" >"$dir/python/.stamp"
}

install_nodejs() {
    stamp="aws-lambda-ric $RIC_NODEJS node $(node -p process.versions.modules)"
    [ "$(cat "$dir/nodejs/.stamp" 2>/dev/null)" = "$stamp" ] && return
    need 'npm node g++ make cmake autoconf automake libtoolize python3' \
        'npm nodejs g++ make cmake autoconf automake libtool python3'
    if [ -z "${npm_config_nodedir:-}" ] && [ -f /usr/include/node/node.h ]; then
        export npm_config_nodedir=/usr
    fi
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    if ! npm install --prefix "$work" --no-audit --no-fund --no-save --foreground-scripts \
        "aws-lambda-ric@$RIC_NODEJS" >"$work/log" 2>&1; then
        tail -n 40 "$work/log" >&2
        echo "$0: aws-lambda-ric could not be built" >&2
        exit 1
    fi
    # Everything else in node_modules is for building only.
    package=node_modules/aws-lambda-ric
    [ -f "$work/$package/dist/rapid-client.node" ] ||
        { echo "$0: npm did not run the package's install scripts (see: npm config get ignore-scripts)" >&2; exit 1; }
    rm -rf "$dir/nodejs"
    mkdir -p "$dir/nodejs/$package"
    for part in package.json LICENSE NOTICE bin dist; do
        cp -R "$work/$package/$part" "$dir/nodejs/$package/"
    done
    rm -rf "$work"
    trap - EXIT
    bootstrap "$dir/nodejs" "exec $(command -v node) /var/task/$package/bin/index.mjs \"\$_HANDLER\""
    echo "$stamp" >"$dir/nodejs/.stamp"
}

install_python
install_nodejs
echo "$dir"
