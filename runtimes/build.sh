#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh: compiles what runtimes have to be compiled, as far as this machine has the compilers: the clients for Java and .NET,
# and Python's modules for every Python that is installed (a sandbox sees this folder read-only and could not keep them). Part
# of `make`; done in a moment when nothing has changed. Results lie in build/ beside the sources and appear whole or not at all.
set -eu
cd "$(dirname "$0")"

# True when the file $1 is there and nothing below $2... is newer.
fresh() {
    result=$1
    shift
    [ -f "$result" ] && [ -z "$(find "$@" -type f -newer "$result" -print -quit)" ]
}

# A JDK may be installed without its compiler being on the path.
find_jdk() {
    for folder in "${JAVA_HOME:-}/bin" "$(dirname "$(command -v javac || echo /none)")" /usr/lib/jvm/*/bin; do
        if [ -x "$folder/javac" ] && [ -x "$folder/jar" ]; then
            jdk=$folder
            return 0
        fi
    done
    return 1
}

build_java() {
    fresh java/build/sluice-runtime.jar java/src build.sh && return 0
    find_jdk || return 0
    work=$(mktemp -d)
    # Class files for Java 8, so that one jar serves all; -options: newer compilers announce the end of that.
    "$jdk/javac" --release 8 -Xlint:-options -d "$work/classes" java/src/sluice/runtime/*.java
    mkdir -p java/build
    "$jdk/jar" cfe "$work/sluice-runtime.jar" sluice.runtime.Main -C "$work/classes" .
    chmod 644 "$work/sluice-runtime.jar"
    cp "$work/sluice-runtime.jar" java/build/.new.$$ && mv -f java/build/.new.$$ java/build/sluice-runtime.jar
    rm -rf "$work"
}

build_python() {
    for python in /usr/bin/python3.[0-9]* /usr/local/bin/python3.[0-9]*; do
        case ${python##*/python} in *[!0-9.]*) continue ;; esac
        [ -x "$python" ] || continue
        tag=cpython-$(echo "${python##*/python}" | tr -d .)
        fresh "python/sluice_runtime/__pycache__/__init__.$tag.pyc" python/sluice_runtime/*.py && continue
        "$python" -S -s -m compileall -q python/sluice_runtime || true
    done
}

build_java
build_python
