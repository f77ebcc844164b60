#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write a file's bytes as a C array: embed.py NAME OUTPUT [FILE] gives `NAME[]` and `NAME_size`, which is 0 without a file."""

import sys


def main(name, target, source=None):
    data = b""
    if source:
        with open(source, "rb") as file:
            data = file.read()
    rows = (",".join(map(str, data[at : at + 32])) for at in range(0, len(data) or 1, 32))
    with open(target, "w", encoding="ascii") as out:
        out.write("#include <stddef.h>\n")
        out.write("extern const unsigned char %s[];\nextern const size_t %s_size;\n" % (name, name))
        out.write("const unsigned char %s[] = {\n%s\n};\n" % (name, ",\n".join(rows)))
        out.write("const size_t %s_size = %d;\n" % (name, len(data)))


if __name__ == "__main__":
    main(*sys.argv[1:])
