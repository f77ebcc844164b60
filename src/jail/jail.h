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
//   sl_jail_start(id) ──► STARTED{id, listen_fd[3], log_fd, memory_fd} ──► EXITED{id}  exactly one EXITED per STARTED
//                     └─► FAILED{id, errno, step}                                      nothing else follows for this id
//
// sl_jail_stop(id) leads to EXITED (or, while still starting, to FAILED or to STARTED + EXITED). EXITED is sent when
// the whole process tree is gone, daemons included. An id may be used again after its last event.
//
// Programs. A sandbox has a main program (number 0) and up to spec.programs further ones (external extensions), all as
// the same user, in the same limits, with the same files and network. They can signal one another, but do not find one
// another in /proc. The main program is started by sl_jail_start, or, when that was given no block, later by
// sl_jail_exec, as the others are. Each number can be used once. Their processes wait in the sandbox from the
// beginning, already without any privilege: a running sandbox is never entered from outside.
//
//   sl_jail_exec(id, n) ──► PROGRAM_STARTED{id, n, log_fd} ──► PROGRAM_EXITED{id, n, status}
//                       └─► PROGRAM_FAILED{id, n, errno, step}
//
// Without spec.keep the end of the main program ends the sandbox: EXITED follows at once, and PROGRAM_EXITED is said of
// further programs only. With it PROGRAM_EXITED{id, 0} says so and the others go on, until sl_jail_stop. Nothing is
// said of programs that are still running when the sandbox ends: EXITED settles them all.
//
// Blanks. A sandbox may be started before it is known for which function (spec.blank): its main program, a bootstrap in
// whose environment the caller put SLUICE_BLANK, brings its language up and waits on standard input, which is a
// connected stream socket (runtimes/README.md has the protocol). Then it is adopted, once:
//
//   sl_jail_start(id, blank) ──► STARTED{id, ...} ──► READY{id} ──sl_jail_adopt(id)──► ADOPTED{id} ──► ... EXITED{id}
//
// READY follows the byte that the bootstrap writes. sl_jail_adopt may be called any time after sl_jail_start, without
// waiting for STARTED or READY. It mounts code and layers, sets the limits, gives up what privileges the sandbox's init
// still had, and sends the function's block to the bootstrap. When it cannot, the sandbox is stopped: EXITED follows
// with error and step. Nothing untrusted runs in a sandbox before it is adopted, and none is adopted twice.
//
// Templates. A blank can be made by fork instead of exec: sl_jail_template_start starts a bootstrap (Python, Ruby: one
// that can fork) with SLUICE_TEMPLATE and SLUICE_BLANK in its environment, outside of any sandbox but with the same
// view of files, without network, holding no secret and never running a user's code. When it has loaded what blanks
// need, it calls its language's fork() once. That call is ours (src/jail/template.c is loaded before the C library): in
// the template it never returns, in a child it returns 0 whenever a blank is asked for, inside the sandbox, as its
// user, with fresh randomness; the child goes on as every blank does, writes its byte and reads its block. Copies of
// one template share its address space layout and hash seeds, so a caller renews templates from time to time, and has
// one per tenant where tenants do not trust one another.
//
//   sl_jail_template_start(n) ──► TEMPLATE_READY{n} ──► TEMPLATE_ENDED{n, errno, step}      or TEMPLATE_ENDED alone
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
    SL_JAIL_PROGRAMS_MAX = 16, // further programs of a sandbox
    SL_JAIL_TEMPLATES_MAX = 8,
    SL_JAIL_EXTENSION_NAME = 128, // bytes of the name of an extension, NUL included
    SL_JAIL_PORT = 9001,      // the Runtime API's port on the sandbox's loopback, as in AWS (AWS_LAMBDA_RUNTIME_API)
    SL_JAIL_DOOR_PORT = 4566, // on the same loopback: the way of a function to the AWS APIs
};

// The server's listening sockets in a sandbox: the Runtime API's two, and the one of SL_JAIL_DOOR_PORT.
enum { SL_JAIL_LISTEN_TCP, SL_JAIL_LISTEN_UNIX, SL_JAIL_LISTEN_DOOR, SL_JAIL_LISTENERS };

// The Runtime API once more, as a Unix socket inside the sandbox: a message costs a third of what it costs through the
// loopback. Our own bootstraps use it when AWS_LAMBDA_RUNTIME_API is the loopback address and port above.
#define SL_JAIL_SOCKET "/run/sluice/runtime.sock"

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
    char user[64]; // who starts it, by name, as /etc/subuid may know it (an ordinary user's server); "": unknown
};

// Body of the spawner process. Call it in a freshly forked process without threads; control_fd is the spawner's end of
// a socketpair(AF_UNIX, SOCK_SEQPACKET). Takes over the process: closes every descriptor but control_fd, the runtimes
// folder and standard error, sets its own signal handling and process name. SIGTERM and SIGINT are ignored (the control
// socket is the only way to end it). Never returns in practice; the value (0, or 1 when it could not start) is the exit
// status to use.
int sl_spawner_main(int control_fd, const struct sl_jail_config *config);
// The same in a program of its own, of which sandboxes are made sooner; where there is none, the same.
int sl_spawner_begin(int control_fd, const struct sl_jail_config *config);

// ---- the server's side ----

struct sl_jail_client;

// Takes ownership of fd (made non-blocking here); closed by sl_jail_client_free. NULL on no memory.
struct sl_jail_client *sl_jail_client_new(int fd);
// Waits, timeout_ms at most, until the spawner has said that it can make sandboxes. Before sl_jail_poll is called
// first, which otherwise takes no notice. UNAVAILABLE with the reason (and often the next step) in err when it cannot.
int sl_jail_client_wait(struct sl_jail_client *client, int timeout_ms, struct sl_error *err);
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
    int code_dir_fd; // directory for /var/task; -1 with blank. Must be readable for any user (files 0644/0755), opened
                     // in the server's own (unchanged) mount namespace. Borrowed: may be closed once sl_jail_start has
                     // returned
    int opt_dir_fd;  // the merged layers for /opt, or -1. Same rules
    int block_fd;    // from sl_jail_block_new: what to execute. Borrowed, reusable for any number of starts. -1: only
                     // make the sandbox; the main program comes by sl_jail_exec
    int input_fd;    // with block_fd, without blank: the program's standard input, or 0: none. Borrowed
    uint32_t programs; // further programs that may be run, numbers 1 to this; at most SL_JAIL_PROGRAMS_MAX
    bool keep;         // the end of the main program does not end the sandbox
    bool image;        // code_dir_fd is a whole root, made by sl_oci_unpack: it becomes the sandbox's. The main program
                       // starts in the directory that its variable PWD names
    bool blank;        // block_fd's program waits to be adopted. code_dir_fd and opt_dir_fd are -1
    uint32_t template; // with blank: fork this template if it is ready, else execute block_fd. 0: always execute
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
// Gives a blank its function. Of spec, memory_mb, cpu_milli, pids, tmp_mb, programs and keep apply from now on, code
// and layers are mounted, and block_fd is what the bootstrap is to become (at most 64 KiB of texts); network must be
// what the blank was started with, fds is ignored (a blank keeps its limit), and pids must not change where no control
// group counts them. Any thread. Errors as sl_jail_start; ADOPTED or EXITED follows.
int sl_jail_adopt(struct sl_jail_client *client, uint64_t id, const struct sl_jail_spec *spec, struct sl_error *err);

enum { SL_JAIL_MAIN = 0, SL_JAIL_ALL = 0x7fffffff };

struct sl_jail_program {
    int block_fd; // what to execute, as in sl_jail_spec
    bool own_log; // standard output and error go to a pipe of its own, PROGRAM_STARTED's log_fd, instead of STARTED's
};

// Runs a further program (1 to spec.programs) in the running sandbox id, or its main program (SL_JAIL_MAIN) when
// sl_jail_start was given none. PROGRAM_STARTED or PROGRAM_FAILED follows, nothing when id is gone. Any thread.
int sl_jail_exec(struct sl_jail_client *client, uint64_t id, uint32_t program, const struct sl_jail_program *what,
                 struct sl_error *err);
// Sends a signal (SIGTERM...) to the process group of one program, or of all that run (SL_JAIL_ALL). A frozen sandbox
// gets it when it is thawed, except SIGKILL. Any thread; no answer; what is gone is ignored.
int sl_jail_signal(struct sl_jail_client *client, uint64_t id, uint32_t program, int signal, struct sl_error *err);

// Asks for an unconnected, non-blocking TCP socket made inside the network namespace of the running sandbox id, by
// which the server can connect to what listens on the sandbox's loopback (subscribers of telemetry) and to nothing
// else. CONNECTOR follows, with connector_fd -1 when none could be made; nothing when id is gone. Any thread.
int sl_jail_connector(struct sl_jail_client *client, uint64_t id, struct sl_error *err);

// Starts template number 1 to SL_JAIL_TEMPLATES_MAX; not in use (a template is gone when TEMPLATE_ENDED has come).
// memory_mb limits it and, copies counting their own pages, nothing else. Any thread.
int sl_jail_template_start(struct sl_jail_client *client, uint32_t template, int block_fd, uint32_t memory_mb,
                           struct sl_error *err);
// Ends a template; its copies live on. TEMPLATE_ENDED follows; an unknown one is ignored. Any thread.
int sl_jail_template_stop(struct sl_jail_client *client, uint32_t template, struct sl_error *err);

// The names of the external extensions in a layers directory: what lies in its folder "extensions" and is no directory,
// in order of name, as AWS takes them. Fills names[room] and returns how many, 0 when there is no such folder, -1 with
// err set (LIMIT when there are more). A name is a plain file name: the program is /opt/extensions/<name>.
int sl_jail_extensions(int opt_dir_fd, char names[][SL_JAIL_EXTENSION_NAME], unsigned room, struct sl_error *err);

// Changes the cpu quota of a running sandbox, e.g. to the configured share after its init phase. Any thread; no answer.
int sl_jail_set_cpu(struct sl_jail_client *client, uint64_t id, uint32_t cpu_milli, struct sl_error *err);
// AWS's proportion: 1769 MB is one vCPU. Source: "Configuring Lambda function memory", AWS Lambda developer guide.
uint32_t sl_jail_cpu_for_memory(uint32_t memory_mb);

enum sl_jail_event_kind {
    SL_JAIL_STARTED = 1,
    SL_JAIL_FAILED,
    SL_JAIL_EXITED,
    SL_JAIL_READY,   // a blank waits for its function
    SL_JAIL_ADOPTED, // and has got it
    SL_JAIL_PROGRAM_STARTED,
    SL_JAIL_PROGRAM_FAILED,
    SL_JAIL_PROGRAM_EXITED,
    SL_JAIL_TEMPLATE_READY, // id is the template's number
    SL_JAIL_TEMPLATE_ENDED,
    SL_JAIL_CONNECTOR, // see sl_jail_connector
};

struct sl_jail_event {
    enum sl_jail_event_kind kind;
    uint64_t id;
    uint32_t program; // PROGRAM_*: which one
    // STARTED, and log_fd PROGRAM_STARTED too (-1 unless it has its own); the descriptors belong to the receiver, all
    // close-on-exec
    pid_t pid;                        // host pid of the sandbox's init (the root of the tree), for reports only
    int listen_fd[SL_JAIL_LISTENERS]; // non-blocking listening sockets inside the sandbox, by SL_JAIL_LISTEN_*. Nobody
                                      // connects after EXITED. All are -1 when this process was out of descriptors
    int log_fd;    // non-blocking read end of the pipe that is the sandbox's stdout and stderr; end-of-file = no writer
                   // left
    int memory_fd; // for sl_jail_memory_peak, or -1
    int freeze_fd; // for sl_jail_freeze, or -1: this machine cannot
    int connector_fd; // CONNECTOR: the receiver's, or -1
    bool network;     // has eth0
    // FAILED, PROGRAM_FAILED, TEMPLATE_ENDED; EXITED when a blank could not be adopted (else error is 0)
    int error;      // errno value; EAGAIN = all max_instances slots in use
    char step[128]; // what was being done, e.g. "execute /var/task/bootstrap"
    // EXITED, PROGRAM_EXITED
    int status;          // wait status of the (main) program (WIFEXITED, WTERMSIG...); SIGKILL when stopped
    bool oom_killed;     // the kernel killed something in it for want of memory (cgroups only)
    int64_t memory_peak; // bytes, or -1 when unknown
};

// Reads one event without blocking. Returns 1 with *event filled, 0 when there is none now, -1 when the spawner is gone
// (every sandbox is dead or dying; no further event comes). One thread only.
int sl_jail_poll(struct sl_jail_client *client, struct sl_jail_event *event);

// Highest memory use in bytes so far of the sandbox that memory_fd belongs to; -1 when unknown or the sandbox is gone.
int64_t sl_jail_memory_peak(int memory_fd);

// Stops every process of the sandbox that freeze_fd belongs to where it is, or lets them go on. For between
// invocations: one write, 2-25 us with version 2 control groups, about 100 us with version 1. Frozen processes use no
// processor time and get no signal but SIGKILL; what arrives on their sockets waits. Any thread, but one at a time for
// a sandbox, and not after sl_jail_stop. Returns 0, or -1 when that was not possible (the sandbox is gone).
int sl_jail_freeze(int freeze_fd, bool frozen);

// ---- sluice doctor ----

enum sl_jail_feature_id {
    SL_JAIL_FEATURE_PRIVILEGE, // root, or user namespaces
    SL_JAIL_FEATURE_UIDS,      // a user id per sandbox
    SL_JAIL_FEATURE_MEMORY,    // cgroup controllers
    SL_JAIL_FEATURE_CPU,
    SL_JAIL_FEATURE_PIDS,
    SL_JAIL_FEATURE_FREEZE, // sl_jail_freeze
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
