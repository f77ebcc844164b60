// SPDX-License-Identifier: Apache-2.0
//
// watch: the memory limit where no control group enforces one (rootless without delegation). init adds up the memory of
// all processes of its sandbox and of /tmp several times a second, and ends the sandbox when the sum is above the
// limit. Weaker than a control group: short peaks are not seen, nor what the kernel keeps for a process (buffers of
// sockets and pipes). When init cannot look any more, or not as often as before, because the function has changed its
// limits or its priority, that counts as exceeded.
#ifndef SL_JAIL_WATCH_H
#define SL_JAIL_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct sl_jail__watch {
    int64_t limit; // bytes, 0: nothing to watch
    int64_t peak;  // highest sum seen, -1 when not watching
    int file;      // memory file with the peak as text, for sl_jail_memory_peak, or -1
    int pause_ms;
    int nice, policy; // init's own, when it began
};

void sl_jail__watch_init(struct sl_jail__watch *watch, uint32_t megabytes);
// Another limit for what is being watched already.
void sl_jail__watch_limit(struct sl_jail__watch *watch, uint32_t megabytes);
// How long to wait before the next look, in milliseconds; -1 without a limit.
int sl_jail__watch_pause(const struct sl_jail__watch *watch);
// Measures. True when the limit is exceeded.
bool sl_jail__watch_look(struct sl_jail__watch *watch);

#endif
