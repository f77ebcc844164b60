// SPDX-License-Identifier: Apache-2.0
//
// proto: the fixed-size messages between server and spawner, and between spawner and the init of a sandbox, and how
// they and their descriptors go over a SOCK_SEQPACKET socket. Both ends are the same binary, so structs travel as they
// are; a wrong size is a protocol error and ends the connection. Nothing here is parsed: every field is an integer or a
// bounded text.
#ifndef SL_JAIL_PROTO_H
#define SL_JAIL_PROTO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { SL_JAIL__FDS = 8, SL_JAIL__STEP = 128 };

// Descriptors of requests and of what init is told, by what they are for. A message says in `has` (a bit each) which
// of them it carries; they travel in this order.
enum sl_jail__role {
    SL_JAIL__CODE,  // directory, to init: mount
    SL_JAIL__OPT,   // the same for the layers
    SL_JAIL__BLOCK, // what to execute, or what a blank becomes
    SL_JAIL__LOG,   // standard output and error
    SL_JAIL__INPUT, // standard input of a blank: the program's end
    SL_JAIL__PEER,  // ... and init's
    SL_JAIL__ROLES
};

// server -> spawner. START and ADOPT carry code, layers, block; EXEC and TEMPLATE_START carry a block.
enum sl_jail__op {
    SL_JAIL__START = 1,
    SL_JAIL__STOP,
    SL_JAIL__SET_CPU,
    SL_JAIL__ADOPT,
    SL_JAIL__EXEC,
    SL_JAIL__SIGNAL,
    SL_JAIL__TEMPLATE_START,
    SL_JAIL__TEMPLATE_STOP,
    SL_JAIL__CONNECT,
};
enum {
    SL_JAIL__START_NETWORK = 1,
    SL_JAIL__START_KEEP = 2,
    SL_JAIL__START_BLANK = 4,
    SL_JAIL__EXEC_OWN_LOG = 8,
    SL_JAIL__START_IMAGE = 16,
};

struct sl_jail__request {
    uint32_t op;
    uint32_t has;
    uint32_t flags;
    uint32_t program;
    uint64_t id;
    uint32_t memory_mb;
    uint32_t cpu_milli;
    uint32_t pids;
    uint32_t fds;
    uint32_t tmp_mb;
    uint32_t programs;
    uint32_t template; // START, TEMPLATE_*
    int32_t signal;
};

// spawner -> server. kind is enum sl_jail_event_kind, or once, before all others, SL_JAIL__HELLO: sandboxes can be
// made, or (error, an error kind, and step, its text) cannot. Carries, in this order, what the flags say.
enum {
    SL_JAIL__REPLY_NETWORK = 1,
    SL_JAIL__REPLY_OOM = 2,
    SL_JAIL__REPLY_LISTEN = 4, // SL_JAIL_LISTENERS of them
    SL_JAIL__REPLY_LOG = 8,
    SL_JAIL__REPLY_MEMORY = 16,
    SL_JAIL__REPLY_FREEZE = 32,
    SL_JAIL__REPLY_CONNECTOR = 64,
    SL_JAIL__REPLY_FDS = 6, // how many at most
    SL_JAIL__HELLO = 1000,
};

struct sl_jail__reply {
    uint32_t kind;
    int32_t error;
    uint64_t id;
    int64_t memory_peak;
    int32_t pid;
    int32_t status;
    uint32_t flags;
    uint32_t program;
    char step[SL_JAIL__STEP];
};

// spawner -> init. START makes the sandbox that of one function (code, layers) and, with a block, executes it; as a
// blank it mounts nothing yet; forked, the main program comes from a template and init executes nothing. ADOPT is the
// second half of a blank's start. EXEC runs a program. CONNECTOR asks for a socket.
enum sl_jail__go_op { SL_JAIL__GO_START = 1, SL_JAIL__GO_ADOPT, SL_JAIL__GO_EXEC, SL_JAIL__GO_CONNECTOR };
enum { SL_JAIL__GO_BLANK = 1, SL_JAIL__GO_FORKED = 2, SL_JAIL__GO_KEEP = 4, SL_JAIL__GO_IMAGE = 8 };

struct sl_jail__go {
    uint32_t op;
    uint32_t has;
    uint32_t flags;
    uint32_t program;   // EXEC
    uint32_t programs;  // START, ADOPT: how many further ones to make ready
    uint32_t fds;       // RLIMIT_NOFILE
    uint32_t tmp_mb;    // size of /tmp
    uint32_t processes; // RLIMIT_NPROC, or 0: one user id may have several sandboxes, and control groups limit them
    uint32_t watch_mb;  // memory limit for init to watch where no control group does, else 0
};

// init -> spawner.
enum sl_jail__note_kind {
    SL_JAIL__READY = 1, // built. Carries: listening sockets, the main program's process, [network namespace, if new]
    SL_JAIL__SEATED,    // a further program can be run. Carries its process
    SL_JAIL__ACTIVE,    // the sandbox is its function's. Carries [memory file, when init watches the memory]
    SL_JAIL__EXECED,    // a program runs. Main program: carries [memory file]
    SL_JAIL__FAILED,    // it does not; of the main program this is the sandbox's end
    SL_JAIL__WAITS,     // a blank said that it is ready
    SL_JAIL__EXITED,    // a program ended; of the main program, unless kept, this is the sandbox's end
    SL_JAIL__CONNECTOR, // carries [a socket]
};

struct sl_jail__note {
    uint32_t kind;
    uint32_t program;
    int32_t error;  // FAILED: errno value
    int32_t status; // EXITED: wait status
    uint32_t oom;   // EXITED: killed by init's watch
    uint32_t reserved;
    int64_t memory_peak; // EXITED: seen by init's watch, else -1
    uint64_t sent;       // READY: see sl_jail__netns_recycle
    char step[SL_JAIL__STEP];
};

// spawner -> template: fork into this sandbox. Carries: process of its init, log, standard input, directories of its
// control groups (version 1 ones first, then that of version 2).
struct sl_jail__fork {
    uint32_t slot;
    uint32_t version_1;  // directories of version 1
    uint32_t version_2;  // 1 with one of version 2
    uint32_t change_ids; // see struct sl_jail__confine
    uint32_t own_user_ns;
    uint32_t uid;
    uint32_t fds;
    uint32_t processes;
    uint64_t generation;
};

// template -> spawner. BOOTED once. For a fork: FORKED from the template (pid as the spawner sees it) and CONFINED from
// the child, in any order; or FAILED from either.
enum sl_jail__fork_kind { SL_JAIL__BOOTED = 1, SL_JAIL__FORKED, SL_JAIL__CONFINED, SL_JAIL__FORK_FAILED };

struct sl_jail__fork_note {
    uint32_t kind;
    uint32_t slot;
    uint64_t generation;
    int32_t pid;
    int32_t error;
    char step[SL_JAIL__STEP];
};

// Whether nobody has the other end any more.
bool sl_jail__is_closed(int socket);

// Sends one message with up to SL_JAIL__FDS descriptors (which stay the caller's). 0 or -errno (-EAGAIN when full,
// never SIGPIPE).
int sl_jail__send(int socket, const void *message, size_t size, const int *fds, unsigned fd_count);

// Receives one message of exactly size bytes; descriptors (close-on-exec) go to fds[SL_JAIL__FDS], the rest of which is
// -1, and belong to the caller. Returns 1, 0 on end-of-file, -errno otherwise: -EAGAIN, -EPROTO for a wrong size
// (descriptors closed), -EMFILE when descriptors were lost for want of room.
int sl_jail__receive(int socket, void *message, size_t size, int fds[SL_JAIL__FDS]);

// Sends a message whose descriptors are given by role (-1: none); sets *ret_has, a field of the message.
int sl_jail__send_roles(int socket, const void *message, size_t size, uint32_t *ret_has, const int fds[SL_JAIL__ROLES]);
// Puts received descriptors where their roles are. False when there are more or fewer than has says.
bool sl_jail__take_roles(int fds[SL_JAIL__FDS], uint32_t has);

// close() that leaves -1 behind and ignores -1.
void sl_jail__close(int *fd);
void sl_jail__close_all(int *fds, unsigned count);

#endif
