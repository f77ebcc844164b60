// SPDX-License-Identifier: Apache-2.0
//
// output: what the verbs print. Names, URLs and messages come from a server, so they are not trusted with the terminal.
#include "cli/internal.h"

#include <stdlib.h>
#include <unistd.h>

static bool coloured(FILE *out) {
    const char *never = getenv("NO_COLOR"); // https://no-color.org
    return isatty(fileno(out)) && !(never && *never);
}

void sl_cli__print(FILE *out, enum sl_cli_style style, struct sl_str text) {
    static const char *const codes[] = {"", "\033[1m", "\033[32m", "\033[33m", "\033[31m", "\033[2m"};
    bool colour = style != SL_CLI_PLAIN && coloured(out);
    if (colour) fputs(codes[style], out);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        fputc((c < 32 && c != '\n' && c != '\t') || c == 127 ? '?' : c, out);
    }
    if (colour) fputs("\033[0m", out);
}

void sl_cli__column(FILE *out, enum sl_cli_style style, struct sl_str text, unsigned width) {
    sl_cli__print(out, style, text);
    for (size_t i = text.len; i < width; i++) fputc(' ', out);
}
