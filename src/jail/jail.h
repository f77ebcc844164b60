// SPDX-License-Identifier: Apache-2.0
//
// jail: the spawner process and everything of the sandbox. This is the only header of the folder that others include.
//
// Two processes. The spawner (sl_spawner_main, forked by the supervisor before any thread exists) holds the privileges,
// is single-threaded and owns every sandbox. The server holds none and asks for sandboxes over one SOCK_SEQPACKET
// socket pair with fixed-size messages; descriptors travel by SCM_RIGHTS. If the server goes away the spawner sees
// end-of-file, kills every sandbox and removes every cgroup, namespace and firewall table it made; if the spawner is
// killed, the sandboxes die with it (parent-death signal) and the next start of any Sluice removes what the kernel did
// not.
//
// The life of a sandbox as the server sees it:
//
//   sl_jail_start(id) ──► STARTED{id, listen_fd, log_fd, memory_fd} ──► EXITED{id}     exactly one EXITED per STARTED
//                     └─► FAILED{id, errno, step}                                      nothing else follows for this id
//
// sl_jail_stop(id) leads to EXITED (or, while still starting, to FAILED or to STARTED + EXITED). EXITED is sent when
// the whole process tree is gone, daemons included. An id may be used again after its last event.
//
// Inside: /var/task (code, read-only), /opt (layers, read-only), /var/runtime (our runtimes, read-only), /tmp
// (writable, sized), /dev/shm (writable), the host's /usr read-only, a small /etc. The function is not pid 1, has no
// capabilities, its own user id, and only the interfaces lo and, with network, eth0.
#ifndef SL_JAIL_JAIL_H
#define SL_JAIL_JAIL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sl_error;

// Bounds of a request; the spawner refuses (FAILED, EINVAL) what lies outside.
enum {
    SL_JAIL_MEMORY_MB_MIN = 16,
    SL_JAIL_MEMORY_MB_MAX = 32768,
    SL_JAIL_TMP_MB_MIN = 1,
    SL_JAIL_TMP_MB_MAX = 10240,
    SL_JAIL_PIDS_MAX = 4096,
    SL_JAIL_FDS_MAX = 65536,
    SL_JAIL_BLOCK_MAX = 1 << 20, // bytes of exec path + argv + envp (AWS allows 4 KiB of variables; ours add a few)
    SL_JAIL_ALLOW_MAX = 16,
    SL_JAIL_DNS_MAX = 3,
    SL_JAIL_PORT = 9001, // the Runtime API's port on the sandbox's loopback, as in AWS (AWS_LAMBDA_RUNTIME_API)
};

// An address that sandboxes may reach although it lies in a closed range (see docs/security.md), e.g. a local S3. A
// host address (even of this machine, but not loopback) or a network. Metadata addresses (169.254.0.0/16) stay closed.
struct sl_jail_allow {
    struct in_addr addr;
    unsigned prefix; // 0-32
    uint16_t port;   // TCP port in host byte order; 0 = any
};

struct sl_jail_config {
    uid_t first_uid;        // sandboxes run as first_uid + slot (root mode; e.g. 200000). Must not be in use by others
    unsigned max_instances; // sandboxes at a time, 1-4096; further starts FAIL with EAGAIN
    unsigned shells;        // prepared empty sandboxes to keep ready; 0 = make each one when asked
    bool network;           // outgoing network through NAT where the machine can (else loopback only, logged once)
    int runtimes_dir_fd;    // O_PATH or O_RDONLY|O_DIRECTORY fd of the runtimes folder, or -1. Mounted at /var/runtime
    struct sl_jail_allow allow[SL_JAIL_ALLOW_MAX];
    unsigned allow_count;
    struct in_addr
        dns[SL_JAIL_DNS_MAX]; // resolvers; dns_count 0 = the host's (/etc/resolv.conf, loopback ones left out)
    unsigned dns_count;
};

// Body of the spawner process. Call it in a freshly forked process without threads; control_fd is the spawner's end of
// a socketpair(AF_UNIX, SOCK_SEQPACKET). Takes over the process: closes every descriptor but control_fd, the runtimes
// folder and standard error, sets its own signal handling and process name. SIGTERM and SIGINT are ignored (the control
// socket is the only way to end it). Never returns in practice; the value (0, or 1 when it could not start) is the exit
// status to use.
int sl_spawner_main(int control_fd, const struct sl_jail_config *config);

// ---- the server's side ----

struct sl_jail_client;

// Takes ownership of fd (made non-blocking here); closed by sl_jail_client_free. NULL on no memory.
struct sl_jail_client *sl_jail_client_new(int fd);
// NULL is allowed. Closing tells the spawner to end every sandbox.
void sl_jail_client_free(struct sl_jail_client *client);
// The descriptor to wait on for reading (level-triggered); then call sl_jail_poll until it returns 0.
int sl_jail_client_fd(const struct sl_jail_client *client);

struct sl_jail_spec {
    uint32_t memory_mb; // hard limit, swap included; /tmp and /dev/shm contents count
    uint32_t
        cpu_milli; // 1000 = one core, as a quota per 100 ms; 0 = no limit. See sl_jail_cpu_for_memory, sl_jail_set_cpu
    uint32_t pids; // processes and threads; 0 = 1024
    uint32_t fds;  // open files per process; 0 = 1024
    uint32_t tmp_mb; // size of /tmp; 0 = 512
    bool network;    // false: loopback only
    int code_dir_fd; // directory for /var/task. Must be readable for any user (files 0644/0755), opened in the server's
                     // own (unchanged) mount namespace. Borrowed: may be closed once sl_jail_start has returned
    int opt_dir_fd;  // the merged layers for /opt, or -1. Same rules
    int block_fd;    // from sl_jail_block_new: what to execute. Borrowed, reusable for any number of starts
};

// Builds the sealed memfd that says what to execute: an absolute path inside the sandbox (/var/task/bootstrap,
// /usr/bin/python3), argv (argv[0] included) and envp, both NULL-terminated. Returns the descriptor (owned by the
// caller) or -1 with err set (LIMIT when larger than SL_JAIL_BLOCK_MAX). Any thread.
int sl_jail_block_new(const char *path, const char *const argv[], const char *const envp[], struct sl_error *err);

// Asks for a sandbox. id is the caller's, non-zero, not in use. Any thread, any number at a time. Normally does not
// block; if the spawner is so far behind that its socket is full, waits up to one second. Returns 0 or an error kind:
// INVALID (bad spec), UNAVAILABLE (spawner behind or gone). 0 means an event for id will come (or the spawner dies: see
// sl_jail_poll).
int sl_jail_start(struct sl_jail_client *client, uint64_t id, const struct sl_jail_spec *spec, struct sl_error *err);
// Kills the whole tree of id; EXITED follows. An unknown (already gone) id is ignored. Any thread.
int sl_jail_stop(struct sl_jail_client *client, uint64_t id, struct sl_error *err);
// Changes the cpu quota of a running sandbox, e.g. to the configured share after its init phase. Any thread; no answer.
int sl_jail_set_cpu(struct sl_jail_client *client, uint64_t id, uint32_t cpu_milli, struct sl_error *err);
// AWS's proportion: 1769 MB is one vCPU. Source: "Configuring Lambda function memory", AWS Lambda developer guide.
uint32_t sl_jail_cpu_for_memory(uint32_t memory_mb);

enum sl_jail_event_kind { SL_JAIL_STARTED = 1, SL_JAIL_FAILED, SL_JAIL_EXITED };

struct sl_jail_event {
    enum sl_jail_event_kind kind;
    uint64_t id;
    // STARTED; the descriptors belong to the receiver, all close-on-exec
    pid_t pid;     // host pid of the sandbox's init (the root of the tree), for reports only
    int listen_fd; // non-blocking listening TCP socket on 127.0.0.1:9001 inside the sandbox. Reads as closed after
                   // EXITED
    int log_fd;    // non-blocking read end of the pipe that is the sandbox's stdout and stderr; end-of-file = no writer
                   // left
    int memory_fd; // for sl_jail_memory_peak, or -1
    bool network;  // has eth0
    // FAILED
    int error;     // errno value; EAGAIN = all max_instances slots in use
    char step[96]; // what was being done, e.g. "execute /var/task/bootstrap"
    // EXITED
    int status;          // wait status of the function's main process (WIFEXITED, WTERMSIG...); SIGKILL when stopped
    bool oom_killed;     // the kernel killed something in it for want of memory (cgroups only)
    int64_t memory_peak; // bytes, or -1 when unknown
};

// Reads one event without blocking. Returns 1 with *event filled, 0 when there is none now, -1 when the spawner is gone
// (every sandbox is dead or dying; no further event comes). One thread only.
int sl_jail_poll(struct sl_jail_client *client, struct sl_jail_event *event);

// Highest memory use in bytes so far of the sandbox that memory_fd belongs to; -1 when unknown or the sandbox is gone.
int64_t sl_jail_memory_peak(int memory_fd);

// ---- sluice doctor ----

enum sl_jail_feature_id {
    SL_JAIL_FEATURE_PRIVILEGE, // root, or user namespaces
    SL_JAIL_FEATURE_UIDS,      // a user id per sandbox
    SL_JAIL_FEATURE_MEMORY,    // cgroup controllers
    SL_JAIL_FEATURE_CPU,
    SL_JAIL_FEATURE_PIDS,
    SL_JAIL_FEATURE_NETNS,
    SL_JAIL_FEATURE_NETWORK, // veth + nftables + forwarding, or pasta / slirp4netns
    SL_JAIL_FEATURE_SECCOMP,
    SL_JAIL_FEATURE_LANDLOCK,
    SL_JAIL_FEATURE_COUNT
};

struct sl_jail_feature {
    const char *name; // "memory limit"
    bool available;
    char how[64];     // "cgroup v1", "veth and nftables", "none"
    char advice[256]; // when not available: one sentence of what is weaker and what to do; else ""
};

struct sl_jail_features {
    struct sl_jail_feature item[SL_JAIL_FEATURE_COUNT];
};

// Looks at this kernel and this user. May fork helpers and take up to about three seconds; call it from a process
// without threads (a CLI verb). Leaves nothing behind.
void sl_jail_probe(struct sl_jail_features *ret_features);

#endif
