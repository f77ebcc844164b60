// SPDX-License-Identifier: Apache-2.0
//
// file: the few ways in which this folder touches small kernel files and its descriptor table. All return 0 or -errno.
#ifndef SL_JAIL_FILE_H
#define SL_JAIL_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Writes text with one write(2) to an existing file, relative to dir (AT_FDCWD for paths).
int sl_jail__write(int dir, const char *name, const char *text);
int sl_jail__write_number(int dir, const char *name, int64_t number);
// Reads a whole small file into text[size], NUL-terminated. Returns its length or -errno (-EFBIG when it does not fit).
ssize_t sl_jail__read(int dir, const char *name, char *text, size_t size);
// The number at the start of a file, or after the line's key ("oom_kill 3"); -1 when absent.
int64_t sl_jail__read_number(int dir, const char *name);
int64_t sl_jail__read_keyed(int dir, const char *name, const char *key);
// Creates a file in dir with this text and mode.
int sl_jail__create(int dir, const char *name, const char *text, mode_t mode);
// Closes every descriptor above 2 but those in keep[count] (-1 entries are skipped; the array gets sorted).
void sl_jail__close_except(int *keep, size_t count);
// Field 22 of /proc/<pid>/stat: start time in clock ticks since boot; 0 when there is no such process or it is a
// zombie. With the pid it names a process for the life of the machine.
uint64_t sl_jail__start_time(pid_t pid);

#endif
