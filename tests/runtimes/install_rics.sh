#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs AWS's own runtime interface clients, as published, for tests that run them as functions:
#
#     install_rics.sh DIR [LANGUAGE...]   leaves DIR/LANGUAGE for python, nodejs, java and rust, each the content of a
#                                         function's zip for the runtime provided.al2023. Python and Node.js still need
#                                         app.py (handler app.handler) or index.js (index.handler); java (handler App) and
#                                         rust have the function of clients/ in them, because it must be compiled.
#
# Does nothing for what is there already in the wanted version; uses the package managers' own caches and settings. Several
# may run at once: one installs, the others wait for it.
# Python: a ready-made wheel for CPython 3.10-3.14 on x86-64 and ARM, needs pip (Debian: python3-pip).
# Node.js: compiled here, as the package is made that way. It builds its own curl and C++ client, about a minute. Needs on
# Debian 12: npm g++ make cmake autoconf automake libtool python3, and node's headers, which are taken from
# /usr/include/node where they exist (so that node-gyp need not download them).
# Java: ready-made jars, needs mvn and javac. Rust: compiled here, 40 s of computing; needs cargo 1.85 or a younger one;
# Debian 12 has an older one. Where one of these has not what it needs, or its registry does not answer, this says so and leaves
# the language out: it is no failure.
# Ruby: aws_lambda_ric is not here. The script has never met a machine where its registry answers, and what cannot be tried
# is not worth writing.
set -eu

RIC_PYTHON=4.2.2
SIMPLEJSON=3.20.1
SNAPSHOT_RESTORE=1.0.0
RIC_NODEJS=3.3.0 # 4.x wants Node.js 22

[ $# -ge 1 ] || { echo "usage: $0 DIR [LANGUAGE...]" >&2; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- python nodejs java rust
sources=$(cd "$(dirname "$0")/clients" && pwd)
exec 9>"$dir/.lock"
flock 9
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

# Runs a command that may fetch something: again when it fails, as downloads do, but not when it hangs. Its output is for failures.
fetch() { # log, command...
    log=$1
    shift
    for _ in 1 2 3; do
        ended=0
        timeout 240 "$@" </dev/null >"$log" 2>&1 || ended=$?
        [ $ended -ne 0 ] || return 0
        [ $ended -ne 124 ] || break
    done
    return 1
}

left_out() { # language, why
    echo "$0: AWS's client for $1 is left out: $2" >&2
}

install_java() {
    for tool in mvn javac java; do
        command -v $tool >/dev/null || { left_out Java "$tool is not here"; return 0; }
    done
    java=$(readlink -f "$(command -v java)")
    case $java in
    /usr/*) ;;
    *) left_out Java "functions do not see $java"; return 0 ;;
    esac
    stamp="$(cat "$sources"/java/* | sha256sum) $java"
    [ "$(cat "$dir/java/.stamp" 2>/dev/null)" = "$stamp" ] && return
    rm -rf "$dir/java"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cp "$sources"/java/* "$work"
    if fetch "$work/log" mvn -q -B -ntp -f "$work/pom.xml" -DincludeScope=runtime -DoutputDirectory="$work/java/lib" \
        org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies; then
        javac -nowarn -cp "$work/java/lib/*" -d "$work/java" "$work/App.java"
        bootstrap "$work/java" "exec $java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp '/var/task/lib/*' com.amazonaws.services.lambda.runtime.api.client.AWSLambda \"\$_HANDLER\""
        cp -R "$work/java" "$dir/java"
        echo "$stamp" >"$dir/java/.stamp"
    else
        left_out Java "mvn could not fetch it"
        tail -n 5 "$work/log" >&2
    fi
    rm -rf "$work"
    trap - EXIT
}

install_rust() {
    version=$(cargo --version 2>/dev/null | sed -n 's/^cargo 1\.\([0-9]*\)\..*/\1/p')
    [ "${version:-0}" -ge 85 ] || { left_out Rust "cargo 1.85 or a younger one is not here"; return 0; }
    stamp="$(cat "$sources/rust/Cargo.toml" "$sources/rust/src/main.rs" | sha256sum) $(cargo --version)"
    [ "$(cat "$dir/rust/.stamp" 2>/dev/null)" = "$stamp" ] && return
    rm -rf "$dir/rust"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cp -R "$sources/rust" "$work"
    # What cannot be fetched, or wants a younger compiler, is the machine's; what does not compile, too, as versions are fixed.
    if (cd "$work/rust" && fetch "$work/log" cargo fetch --quiet) &&
        (cd "$work/rust" && timeout 600 cargo build --offline --quiet --target-dir target </dev/null >"$work/log" 2>&1); then
        mkdir "$dir/rust"
        cp "$work/rust/target/debug/bootstrap" "$dir/rust/bootstrap"
        echo "$stamp" >"$dir/rust/.stamp"
    else
        left_out Rust "cargo could not fetch or build it"
        tail -n 5 "$work/log" >&2
    fi
    rm -rf "$work"
    trap - EXIT
}

for language in "$@"; do
    case $language in
    python | nodejs | java | rust) "install_$language" ;;
    *) echo "$0: no such language: $language" >&2; exit 2 ;;
    esac
done
echo "$dir"
