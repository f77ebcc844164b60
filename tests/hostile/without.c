// SPDX-License-Identifier: Apache-2.0
//
// without: runs a program on a kernel that seems to lack system calls: `without NUMBER... -- COMMAND...`. Each answers
// ENOSYS, in everything that the command starts. Needs root (it does not set no_new_privs, which would change what is
// tested).
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { CALLS_MAX = 32 };

int main(int argc, char **argv) {
    struct sock_filter filter[2 * CALLS_MAX + 2] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    unsigned short used = 1;
    int at = 1;
    for (; at < argc && strcmp(argv[at], "--") != 0 && used < 2 * CALLS_MAX; at++) {
        unsigned number = (unsigned)strtoul(argv[at], NULL, 10);
        filter[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1);
        filter[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
    }
    filter[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = used, .filter = filter};
    if (at + 1 >= argc || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("without");
        return 125;
    }
    execvp(argv[at + 1], argv + at + 1);
    perror(argv[at + 1]);
    return 126;
}
