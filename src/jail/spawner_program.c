// SPDX-License-Identifier: Apache-2.0
//
// spawner_program: see begin.h. The whole of a program of its own, which nobody but sl_spawner_begin executes.
#include "jail/begin.h"

#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

int main(int argc, char **argv) {
    struct sl_jail__begin begin;
    int64_t what;
    if (argc != 2 || !sl_str_to_i64(sl_str_of(argv[1]), &what)) return 1;
    if (read((int)what, &begin, sizeof begin) != (ssize_t)sizeof begin || close((int)what) != 0) return 1;
    sl_log_set_level((enum sl_log_level)begin.log_level);
    return sl_spawner_main(begin.control, &begin.config);
}
