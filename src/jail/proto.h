// SPDX-License-Identifier: Apache-2.0
//
// proto: the fixed-size messages between server and spawner, and between spawner and the init of a sandbox, and how
// they and their descriptors go over a SOCK_SEQPACKET socket. Both ends are the same binary, so structs travel as they
// are; a wrong size is a protocol error and ends the connection. Nothing here is parsed: every field is an integer or a
// bounded text.
#ifndef SL_JAIL_PROTO_H
#define SL_JAIL_PROTO_H

#include <stdint.h>
#include <sys/types.h>

enum { SL_JAIL__FDS = 5, SL_JAIL__STEP = 96 };

// server -> spawner. START carries descriptors: code directory, block, [layers directory].
enum sl_jail__op { SL_JAIL__START = 1, SL_JAIL__STOP, SL_JAIL__SET_CPU };
enum { SL_JAIL__START_NETWORK = 1, SL_JAIL__START_OPT = 2 };

struct sl_jail__request {
    uint32_t op;
    uint32_t flags;
    uint64_t id;
    uint32_t memory_mb;
    uint32_t cpu_milli;
    uint32_t pids;
    uint32_t fds;
    uint32_t tmp_mb;
    uint32_t reserved;
};

// spawner -> server. kind is enum sl_jail_event_kind. STARTED carries: both listening sockets, log pipe, [memory file].
enum { SL_JAIL__REPLY_NETWORK = 1, SL_JAIL__REPLY_OOM = 2 };

struct sl_jail__reply {
    uint32_t kind;
    int32_t error;
    uint64_t id;
    int64_t memory_peak;
    int32_t pid;
    int32_t status;
    uint32_t flags;
    uint32_t reserved;
    char step[SL_JAIL__STEP];
};

// spawner -> init: become the sandbox of one function. Descriptors: code mount, log pipe, block, [layers mount].
struct sl_jail__go {
    uint32_t fds;       // RLIMIT_NOFILE
    uint32_t tmp_mb;    // size of /tmp
    uint32_t processes; // RLIMIT_NPROC where no control group limits them, else 0
    uint32_t watch_mb;  // memory limit for init to watch where no control group does, else 0
};

// init -> spawner. READY carries: both listening sockets, [network namespace, when it was made just now]. EXECED
// carries: [memory file, when init watches the memory].
enum sl_jail__note_kind { SL_JAIL__READY = 1, SL_JAIL__EXECED, SL_JAIL__FAILED, SL_JAIL__EXITED };

struct sl_jail__note {
    uint32_t kind;
    int32_t error;       // FAILED: errno value
    int32_t status;      // EXITED: wait status
    uint32_t oom;        // EXITED: killed by init's watch
    int64_t memory_peak; // EXITED: seen by init's watch, else -1
    char step[SL_JAIL__STEP];
};

// Sends one message with up to SL_JAIL__FDS descriptors (which stay the caller's). 0 or -errno (-EAGAIN when full,
// never SIGPIPE).
int sl_jail__send(int socket, const void *message, size_t size, const int *fds, unsigned fd_count);

// Receives one message of exactly size bytes; descriptors (close-on-exec) go to fds[SL_JAIL__FDS], the rest of which is
// -1, and belong to the caller. Returns 1, 0 on end-of-file, -errno otherwise: -EAGAIN, -EPROTO for a wrong size
// (descriptors closed), -EMFILE when descriptors were lost for want of room.
int sl_jail__receive(int socket, void *message, size_t size, int fds[SL_JAIL__FDS]);

// close() that leaves -1 behind and ignores -1.
void sl_jail__close(int *fd);
void sl_jail__close_all(int *fds, unsigned count);

#endif
