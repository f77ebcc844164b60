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
    "$jdk/javac" --release 8 -Xlint:-options -d "$work/classes" java/src/sluice/runtime/*.java java/src/com/amazonaws/services/lambda/crac/*.java
    mkdir -p java/build
    "$jdk/jar" cfe "$work/sluice-runtime.jar" sluice.runtime.Main -C "$work/classes" .
    chmod 644 "$work/sluice-runtime.jar"
    cp "$work/sluice-runtime.jar" java/build/.new.$$ && mv -f java/build/.new.$$ java/build/sluice-runtime.jar
    rm -rf "$work"
}

# Without it Java functions start without blanks (README.md).
build_java_native() {
    fresh java/build/libsluice-blank.so java/native build.sh && return 0
    [ -f java/build/sluice-runtime.jar ] && command -v "${CC:-cc}" >/dev/null || return 0
    "${CC:-cc}" -std=gnu17 -O2 -Wall -Wextra -fPIC -shared -fvisibility=hidden -o java/build/.so.$$ java/native/blank.c &&
        mv -f java/build/.so.$$ java/build/libsluice-blank.so
}

# Mono's compiler, else the one of a .NET SDK: for both the result is one assembly that either runs.
compile_dotnet() {
    if command -v mcs >/dev/null; then
        mcs -langversion:6 -optimize+ -out:"$1" dotnet/src/*.cs
        return
    fi
    root=$(dirname "$(readlink -f "$(command -v dotnet)")")
    compiler=$(ls "$root"/sdk/*/Roslyn/bincore/csc.dll | sort -V | tail -n 1)
    libraries=$(ls -d "$root"/shared/Microsoft.NETCore.App/* | sort -V | tail -n 1)
    dotnet exec "$compiler" -nologo -nowarn:SYSLIB0014,CS1701,CS8632 -optimize+ $(printf -- '-r:%s ' "$libraries"/System*.dll "$libraries"/mscorlib.dll \
        "$libraries"/netstandard.dll) -out:"$1" dotnet/src/*.cs
}

build_dotnet() {
    fresh dotnet/build/sluice-runtime.exe dotnet/src build.sh && return 0
    command -v mcs >/dev/null || { command -v dotnet >/dev/null && [ -n "$(dotnet --list-sdks 2>/dev/null)" ]; } || return 0
    work=$(mktemp -d)
    compile_dotnet "$work/sluice-runtime.exe"
    chmod 644 "$work/sluice-runtime.exe"
    mkdir -p dotnet/build
    # Machine code beside it halves Mono's cold start. It is a help, not a need: Mono ignores what does not fit its version.
    rm -f dotnet/build/sluice-runtime.exe.so
    if command -v mono >/dev/null && command -v as >/dev/null && command -v ld >/dev/null && mono --aot -O=all "$work/sluice-runtime.exe" >/dev/null 2>&1; then
        cp "$work/sluice-runtime.exe.so" dotnet/build/.so.$$ && mv -f dotnet/build/.so.$$ dotnet/build/sluice-runtime.exe.so
    fi
    cp "$work/sluice-runtime.exe" dotnet/build/.new.$$ && mv -f dotnet/build/.new.$$ dotnet/build/sluice-runtime.exe
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

# What SnapStart takes and restores images of processes with. Without it instances are kept instead (docs/snapstart.md). The
# restorer lies where no other program does, and has nothing of a library in it.
build_snapshot() {
    [ "$(uname -m)" = x86_64 ] && command -v "${CC:-cc}" >/dev/null || return 0
    fresh snapshot/build/restore snapshot/src build.sh && [ -f snapshot/build/photograph.so ] && return 0
    mkdir -p snapshot/build
    "${CC:-cc}" -std=gnu17 -O2 -Wall -Wextra -fPIC -shared -fvisibility=hidden -o snapshot/build/.so.$$ snapshot/src/photograph.c
    "${CC:-cc}" -std=gnu17 -O2 -Wall -Wextra -static -nostdlib -ffreestanding -fno-pie -no-pie -fno-stack-protector -fno-builtin \
        -fcf-protection=none -mgeneral-regs-only -mcmodel=large -Wl,-Ttext-segment=0x10000000000 -Wl,--section-start=.left=0x10001000000 \
        -Wl,-z,noexecstack -o snapshot/build/.exe.$$ snapshot/src/restore.c
    mv -f snapshot/build/.so.$$ snapshot/build/photograph.so
    mv -f snapshot/build/.exe.$$ snapshot/build/restore
}

build_snapshot
build_java
build_java_native
build_dotnet
build_python
