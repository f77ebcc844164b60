// SPDX-License-Identifier: Apache-2.0
//
// attack_flood: verbs that use up what others need too. Each goes on until the kernel says no, and then says how far it
// came; those that have no end are ended by the time limit of the invocation.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attack.h"

enum { MIB = 1 << 20 };

static char block[MIB];

// bomb: every process forks, for ever.
static void bomb(struct attack *attack) {
    (void)attack;
    for (;;) (void)fork();
}

// forks: children that stay, until no more can be had. The number is left in the result.
static void forks(struct attack *attack) {
    long count = 0;
    for (; count < 100000; count++) {
        pid_t child = fork();
        if (child < 0) break;
        if (child == 0) {
            for (;;) pause();
        }
    }
    attack_say(attack, "%s after %ld", attack_error(), count);
}

static void *idle_thread(void *arg) {
    for (;;) pause();
    return arg;
}

static void threads(struct attack *attack) {
    long count = 0;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 16384);
    for (pthread_t thread; count < 100000; count++) {
        errno = pthread_create(&thread, &attributes, idle_thread, NULL);
        if (errno != 0) break;
    }
    attack_say(attack, "%s after %ld", attack_error(), count);
}

static void *spinning_thread(void *arg) {
    for (volatile unsigned long n = 0;; n++) {}
    return arg;
}

// spin THREADS: uses every core, for ever.
static void spin(struct attack *attack) {
    pthread_t thread;
    for (long i = 1; i < attack_number(attack, 1); i++) (void)pthread_create(&thread, NULL, spinning_thread, NULL);
    (void)spinning_thread(NULL);
}

// Fills a file by writing: MiB that went in.
static long fill(int fd, long most) {
    long written = 0;
    for (; written < most; written++) {
        if (write(fd, block, sizeof block) != (ssize_t)sizeof block) break;
    }
    return written;
}

// Buffers of sockets and pipes that nobody reads, as many as there are descriptors, in as many processes as may be.
static void fill_buffers(const char *kind) {
    static struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int big = 64 << 20;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    (void)setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
    (void)bind(listener, (struct sockaddr *)&address, sizeof address);
    (void)listen(listener, 4096);
    (void)getsockname(listener, (struct sockaddr *)&address, &size);
    for (;;) {
        int ends[2] = {-1, -1};
        if (strcmp(kind, "pipes") == 0) {
            if (pipe2(ends, O_NONBLOCK) == 0) (void)fcntl(ends[1], F_SETPIPE_SZ, MIB);
            ends[0] = -1;
        } else if (strcmp(kind, "unix") == 0) {
            if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0) ends[0] = -1;
        } else if (strcmp(kind, "tcp") == 0) {
            ends[1] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
            (void)connect(ends[1], (struct sockaddr *)&address, sizeof address);
            (void)accept(listener, NULL, NULL);
        } else { // udp, to a socket that never reads
            struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
            int sink = socket(AF_INET, SOCK_DGRAM, 0);
            (void)setsockopt(sink, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
            (void)bind(sink, (struct sockaddr *)&own, sizeof own);
            (void)getsockname(sink, (struct sockaddr *)&own, &size);
            ends[1] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
            (void)connect(ends[1], (struct sockaddr *)&own, sizeof own);
        }
        if (ends[1] < 0) break;
        for (int n = 0; n < 4096 && write(ends[1], block, 16384) > 0; n++) {}
    }
    if (fork() >= 0) return; // parent and child go on with descriptors of their own
    for (;;) pause();
}

// memory KIND MIB: takes memory in one of many ways, until it is refused or killed, or that much was had.
static void memory(struct attack *attack) {
    const char *kind = attack->word[1];
    long most = attack_number(attack, 2);
    long got = 0;
    memset(block, 0x5a, sizeof block);
    if (strcmp(kind, "anonymous") == 0 || strcmp(kind, "shared") == 0) {
        int flags = MAP_ANONYMOUS | (strcmp(kind, "shared") == 0 ? MAP_SHARED : MAP_PRIVATE);
        for (; got < most; got++) {
            char *at = mmap(NULL, MIB, PROT_READ | PROT_WRITE, flags, -1, 0);
            if (at == MAP_FAILED) break;
            memset(at, 1, MIB);
        }
    } else if (strcmp(kind, "memfd") == 0) {
        int fd = memfd_create("x", 0);
        got = fill(fd, most);
    } else if (strcmp(kind, "sysv") == 0) {
        // Detached again: no process maps it.
        for (; got < most; got++) {
            int id = shmget(IPC_PRIVATE, MIB, IPC_CREAT | 0600);
            char *at = id < 0 ? (char *)-1 : shmat(id, NULL, 0);
            if (at == (char *)-1) break;
            memset(at, 1, MIB);
            (void)shmdt(at);
        }
    } else if (strcmp(kind, "tmp") == 0 || strcmp(kind, "shm") == 0) {
        int fd = open(strcmp(kind, "tmp") == 0 ? "/tmp/fill" : "/dev/shm/fill", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        got = fill(fd, most);
        attack_say(attack, "%s after %ld", attack_error(), got);
        close(fd);
        unlink("/tmp/fill");
        unlink("/dev/shm/fill");
        return;
    } else {
        for (;;) fill_buffers(kind);
    }
    attack_say(attack, "%s after %ld", got < most ? attack_error() : "ok", got);
}

// inodes FOLDER: empty files until there are no more.
static void inodes(struct attack *attack) {
    long count = 0;
    char path[128];
    for (; count < 10000000; count++) {
        snprintf(path, sizeof path, "%s/i%ld", attack->word[1], count);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0) break;
        close(fd);
    }
    attack_say(attack, "%s after %ld", attack_error(), count);
}

// fds: descriptors until there are no more.
static void fds(struct attack *attack) {
    static int held[100000];
    int count = 0;
    while (count < 100000 && (held[count] = dup(0)) >= 0) count++;
    attack_say(attack, "%s after %d", attack_error(), count);
    while (count > 0) close(held[--count]);
}

// watches: inotify instances until there are no more. They count per user.
static void watches(struct attack *attack) {
    static int held[100000];
    int count = 0;
    while (count < 100000 && (held[count] = inotify_init()) >= 0) count++;
    attack_say(attack, "%s after %d", attack_error(), count);
    while (count > 0) close(held[--count]);
}

// aio: kernel requests in flight, of which the whole machine has 65,536.
static void aio(struct attack *attack) {
    long count = 0;
    for (unsigned long context = 0; count < 10000; count++, context = 0) {
        if (syscall(SYS_io_setup, 4096, &context) != 0) break;
    }
    attack_say(attack, "%s after %ld", attack_error(), count);
}

// log MIB line|block: writes to standard output as fast as it goes.
static void flood_log(struct attack *attack) {
    long most = attack_number(attack, 1);
    memset(block, 'x', sizeof block);
    if (strcmp(attack->word[2], "line") == 0) {
        for (size_t i = 99; i < sizeof block; i += 100) block[i] = '\n';
    }
    for (long i = 0; i < most; i++) {
        for (size_t done = 0; done < sizeof block;) {
            ssize_t n = write(1, block + done, sizeof block - done);
            if (n <= 0) break;
            done += (size_t)n;
        }
    }
    attack_say(attack, "ok");
}

const struct attack_verb attack_flood_verbs[] = {
    {"bomb", bomb},     {"forks", forks},   {"threads", threads}, {"spin", spin},
    {"memory", memory}, {"inodes", inodes}, {"held", fds},        {"watches", watches},
    {"aio", aio},       {"log", flood_log}, {NULL, NULL},
};
