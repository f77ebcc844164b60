// SPDX-License-Identifier: Apache-2.0
//
// Prints what sluice_json makes of each file named on the command line: one line, "bad" or the value written back.

#include "sluice_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void show(const struct sluice_json *doc, int node) {
    enum sluice_json_kind kind = sluice_json_kind(doc, node);
    if (kind == SLUICE_JSON_STRING) {
        size_t len;
        char *text = sluice_json_text_dup(doc, node, &len);
        putchar('"');
        for (size_t i = 0; i < len; i++) {
            unsigned char c = (unsigned char)text[i];
            printf(c < 0x20 || c == '"' || c == '\\' ? "\\u%04x" : "%c", c);
        }
        putchar('"');
        free(text);
        return;
    }
    if (kind != SLUICE_JSON_ARRAY && kind != SLUICE_JSON_OBJECT) {
        printf("%.*s", (int)(doc->nodes[node].end - doc->nodes[node].start), doc->text + doc->nodes[node].start);
        return;
    }
    putchar(kind == SLUICE_JSON_ARRAY ? '[' : '{');
    int i = 0;
    for (int child = sluice_json_first(doc, node); child >= 0; child = sluice_json_next(doc, node, child), i++) {
        if (i) {
            putchar(kind == SLUICE_JSON_OBJECT && i % 2 ? ':' : ',');
        }
        show(doc, child);
    }
    putchar(kind == SLUICE_JSON_ARRAY ? ']' : '}');
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file) {
            return 1;
        }
        size_t cap = 1 << 20, len;
        char *text = malloc(cap);
        len = fread(text, 1, cap, file);
        fclose(file);
        char *exact = malloc(len ? len : 1); // so that reading past the end is seen by the address sanitizer
        memcpy(exact, text, len);
        struct sluice_json doc;
        if (sluice_json_parse(&doc, exact, len)) {
            printf("bad");
        } else {
            show(&doc, 0);
            sluice_json_free(&doc);
        }
        putchar('\n');
        free(exact);
        free(text);
    }
    return 0;
}
