#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Functions that the program may not call, and words that no file may hold.

Each banned function names what to use instead. Comments and strings do not count for functions; for the words of
unfinished work everything counts.
"""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import source

BANNED = {
    "strcpy": "snprintf or sl_buf",
    "strcat": "snprintf or sl_buf",
    "strncpy": "snprintf (strncpy leaves no NUL)",
    "strncat": "snprintf",
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "gets": "fgets",
    "scanf": "sl_str_to_i64 and friends",
    "strtok": "sl_str_split",
    "atoi": "sl_str_to_i64",
    "atol": "sl_str_to_i64",
    "atoll": "sl_str_to_i64",
    "atof": "sl_json_to_double or strtod",
    "system": "posix_spawn without a shell",
    "popen": "posix_spawn without a shell",
    "alloca": "an arena or a fixed array",
    "rand": "sl_random_bytes",
    "srand": "sl_random_bytes",
    "random": "sl_random_bytes",
    "gmtime": "gmtime_r or sl_time_*",
    "localtime": "localtime_r",
    "ctime": "sl_time_*",
    "asctime": "sl_time_*",
    "tmpnam": "mkstemp",
    "mktemp": "mkstemp",
    "usleep": "nanosleep, or better a condition",
    "vfork": "posix_spawn or clone3",
    "gethostbyname": "getaddrinfo",
    "inet_ntoa": "inet_ntop",
}
# Files of the warm path: one invocation through them allocates from arenas and buffers only.
HOT = {"src/http/parse.c", "src/gateway/match.c"}
HOT_BANNED = {"malloc", "calloc", "realloc", "strdup", "strndup", "asprintf"}

CALL = re.compile(r"(?<![\w.>])([a-z_0-9]+)\s*\(")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
SELF = "tools/lint/banned.py"


def main():
    bad = 0
    for path in source.files("src/*.c", "src/*.h", "fuzz/*.c"):
        text = source.code(source.read(path))
        for match in CALL.finditer(text):
            name = match.group(1)
            why = None
            if name in BANNED:
                why = f"use {BANNED[name]}"
            elif path in HOT and name in HOT_BANNED:
                why = "this file is on the warm path; use an arena or a buffer"
            if why:
                print(f"{path}:{source.line_of(text, match.start())}: {name}(): {why}")
                bad += 1
    for path in source.files("*.c", "*.h", "*.py", "*.js", "*.mjs", "*.sh", "*.md", "*.build", "Makefile", "tools/*"):
        text = source.read(path)
        for match in UNFINISHED.finditer(text) if path != SELF else ():
            print(f"{path}:{source.line_of(text, match.start())}: {match.group()}: finish it, or open an issue")
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
