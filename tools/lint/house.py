#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: Apache-2.0
"""House rules of files: a licence line at the head, an essay at the head of C files; sizes, as warnings.

A file over 600 lines or a function over 60 is a warning: it should make you think, not cut a table in two.
"""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import source

FILE_LINES, FUNCTION_LINES, ESSAY_WORDS = 600, 60, 3
LICENCE = "SPDX-License-Identifier: Apache-2.0"
PATTERNS = ["*.c", "*.h", "*.py", "*.js", "*.mjs", "*.sh", "*.build", "Makefile", "tools/*", ".ci/*", "bench/*", "examples/*", "runtimes/*"]
NO_COMMENTS = (".json", ".md", ".txt", ".png", ".svg", ".sum")


def functions(text):
    """(name, first line, last line) of each function of laid out C: a head at the margin, a brace at the margin."""
    lines = source.code(text).split("\n")
    start = None
    for number, line in enumerate(lines, 1):
        if start is None:
            if re.match(r"[a-z_].*\)\s*\{$", line) or (re.match(r"\s+.*\)\s*\{$", line) and head_above(lines, number)):
                start = number
                name = re.search(r"(\w+)\s*\(", " ".join(lines[max(0, number - 4) : number]))
        elif line == "}":
            yield name.group(1) if name else "?", start, number
            start = None


def head_above(lines, number):
    """Whether the lines before a head's last line begin it at the margin."""
    for line in reversed(lines[max(0, number - 5) : number - 1]):
        if re.match(r"[a-z_].*\(", line) and not line.rstrip().endswith((";", "{", "}")):
            return True
        if not line.startswith(" "):
            return False
    return False


def essay(text):
    """Words of the comment that follows the licence line."""
    words = 0
    for line in text.split("\n")[1:]:
        if not line.startswith("//"):
            break
        words += len(line[2:].split())
    return words


def main():
    bad, warnings = 0, 0
    for path in source.files(*PATTERNS):
        text = source.read(path)
        if path.endswith(NO_COMMENTS) or not text.strip() or "\0" in text[:1000]:
            continue
        if LICENCE not in "\n".join(text.split("\n")[:3]):
            print(f"{path}:1: the line '{LICENCE}' is missing at the head")
            bad += 1
        if path.startswith(("src/", "fuzz/", "tests/unit/")) and path.endswith((".c", ".h")) and essay(text) < ESSAY_WORDS:
            print(f"{path}:1: say at the head what this file is for")
            bad += 1
        if path.endswith((".c", ".h")):
            lines = text.count("\n")
            if lines > FILE_LINES:
                print(f"{path}:1: warning: {lines} lines (budget {FILE_LINES})")
                warnings += 1
            for name, first, last in functions(text):
                if last - first + 1 > FUNCTION_LINES:
                    print(f"{path}:{first}: warning: {name} has {last - first + 1} lines (budget {FUNCTION_LINES})")
                    warnings += 1
    if warnings:
        print(f"{warnings} size warnings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
