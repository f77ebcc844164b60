// SPDX-License-Identifier: Apache-2.0
//
// client: the server's end of the control socket. Holds no state but the socket, so requests need no lock: sendmsg on a
// SOCK_SEQPACKET socket is atomic, and replies are read by one thread. Nothing is queued here: when the socket is full
// the caller waits (bounded), because a spawner that is hundreds of requests behind means an overloaded machine.
#include "jail/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "jail/proto.h"

enum { SEND_WAIT_MS = 1000 };

struct sl_jail_client {
    int socket;
};

struct sl_jail_client *sl_jail_client_new(int fd) {
    struct sl_jail_client *client = malloc(sizeof *client);
    if (client == NULL) return NULL;
    client->socket = fd;
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0) (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    // More room for bursts; the kernel caps it at net.core.wmem_max.
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){1 << 20}, sizeof(int));
    return client;
}

void sl_jail_client_free(struct sl_jail_client *client) {
    if (client == NULL) return;
    close(client->socket);
    free(client);
}

int sl_jail_client_fd(const struct sl_jail_client *client) { return client->socket; }

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// Sends, waiting at most SEND_WAIT_MS for room. ETOOMANYREFS: too many descriptors in flight, the same as a full
// socket, but nothing to poll for, so it is retried in small steps.
static int request_send(struct sl_jail_client *client, const struct sl_jail__request *request, const int *fds,
                        unsigned fd_count, struct sl_error *err) {
    int64_t deadline = now_ms() + SEND_WAIT_MS;
    for (;;) {
        int rc = sl_jail__send(client->socket, request, sizeof *request, fds, fd_count);
        if (rc == 0) return SL_OK;
        if (rc == -EPIPE || rc == -ECONNRESET || rc == -ENOTCONN) {
            return sl_fail(err, SL_E_UNAVAILABLE, "the spawner process is gone");
        }
        if (rc != -EAGAIN && rc != -ETOOMANYREFS && rc != -ENOBUFS) {
            return sl_fail(err, SL_E_INVALID, "request to the spawner: %s", strerror(-rc));
        }
        int64_t left = deadline - now_ms();
        if (left <= 0) return sl_fail(err, SL_E_UNAVAILABLE, "the spawner process is too far behind");
        struct pollfd wait = {.fd = client->socket, .events = rc == -EAGAIN ? POLLOUT : 0};
        (void)poll(&wait, 1, rc == -EAGAIN ? (int)left : 1);
    }
}

// The fields that START and ADOPT have in common.
static struct sl_jail__request request_of(enum sl_jail__op op, uint64_t id, const struct sl_jail_spec *spec) {
    return (struct sl_jail__request){
        .op = op,
        .flags = (spec->network ? SL_JAIL__START_NETWORK : 0u) | (spec->keep ? SL_JAIL__START_KEEP : 0u) |
                 (spec->blank ? SL_JAIL__START_BLANK : 0u) | (spec->image ? SL_JAIL__START_IMAGE : 0u),
        .id = id,
        .memory_mb = spec->memory_mb,
        .cpu_milli = spec->cpu_milli,
        .pids = spec->pids != 0 ? spec->pids : 1024,
        .fds = spec->fds != 0 ? spec->fds : 1024,
        .tmp_mb = spec->tmp_mb != 0 ? spec->tmp_mb : 512,
        .programs = spec->programs,
        .template = spec->template,
    };
}

static int send_spec(struct sl_jail_client *client, enum sl_jail__op op, uint64_t id, const struct sl_jail_spec *spec,
                     struct sl_error *err) {
    struct sl_jail__request request = request_of(op, id, spec);
    int fds[4];
    unsigned count = 0;
    if (spec->code_dir_fd >= 0) request.has |= 1u << SL_JAIL__CODE, fds[count++] = spec->code_dir_fd;
    if (spec->opt_dir_fd >= 0) request.has |= 1u << SL_JAIL__OPT, fds[count++] = spec->opt_dir_fd;
    if (spec->block_fd >= 0) request.has |= 1u << SL_JAIL__BLOCK, fds[count++] = spec->block_fd;
    if (spec->input_fd > 0) request.has |= 1u << SL_JAIL__INPUT, fds[count++] = spec->input_fd;
    return request_send(client, &request, fds, count, err);
}

int sl_jail_start(struct sl_jail_client *client, uint64_t id, const struct sl_jail_spec *spec, struct sl_error *err) {
    if (id == 0) return sl_fail(err, SL_E_INVALID, "a sandbox needs a non-zero id");
    if (spec->blank && (spec->code_dir_fd >= 0 || spec->opt_dir_fd >= 0 || spec->block_fd < 0)) {
        return sl_fail(err, SL_E_INVALID, "a blank has a block, and no code yet");
    }
    if (!spec->blank && spec->code_dir_fd < 0) {
        return sl_fail(err, SL_E_INVALID, "a sandbox needs a code directory");
    }
    return send_spec(client, SL_JAIL__START, id, spec, err);
}

int sl_jail_adopt(struct sl_jail_client *client, uint64_t id, const struct sl_jail_spec *spec, struct sl_error *err) {
    if (id == 0) return sl_fail(err, SL_E_INVALID, "a sandbox needs a non-zero id");
    if (spec->code_dir_fd < 0 || spec->block_fd < 0) {
        return sl_fail(err, SL_E_INVALID, "a blank is adopted with a code directory and a block");
    }
    return send_spec(client, SL_JAIL__ADOPT, id, spec, err);
}

int sl_jail_exec(struct sl_jail_client *client, uint64_t id, uint32_t program, const struct sl_jail_program *what,
                 struct sl_error *err) {
    if (id == 0 || program > SL_JAIL_PROGRAMS_MAX || what->block_fd < 0) {
        return sl_fail(err, SL_E_INVALID, "a program needs a sandbox, a number up to %d and a block",
                       SL_JAIL_PROGRAMS_MAX);
    }
    struct sl_jail__request request = {.op = SL_JAIL__EXEC,
                                       .has = 1u << SL_JAIL__BLOCK,
                                       .flags = what->own_log ? SL_JAIL__EXEC_OWN_LOG : 0u,
                                       .id = id,
                                       .program = program};
    return request_send(client, &request, &what->block_fd, 1, err);
}

int sl_jail_signal(struct sl_jail_client *client, uint64_t id, uint32_t program, int signal, struct sl_error *err) {
    struct sl_jail__request request = {.op = SL_JAIL__SIGNAL, .id = id, .program = program, .signal = signal};
    return request_send(client, &request, NULL, 0, err);
}

int sl_jail_connector(struct sl_jail_client *client, uint64_t id, struct sl_error *err) {
    struct sl_jail__request request = {.op = SL_JAIL__CONNECT, .id = id};
    return request_send(client, &request, NULL, 0, err);
}

int sl_jail_template_start(struct sl_jail_client *client, uint32_t template, int block_fd, uint32_t memory_mb,
                           struct sl_error *err) {
    if (template <1 || template > SL_JAIL_TEMPLATES_MAX || block_fd < 0) {
        return sl_fail(err, SL_E_INVALID, "a template needs a number from 1 to %d and a block", SL_JAIL_TEMPLATES_MAX);
    }
    struct sl_jail__request request = {
        .op = SL_JAIL__TEMPLATE_START, .has = 1u << SL_JAIL__BLOCK, .template = template, .memory_mb = memory_mb};
    return request_send(client, &request, &block_fd, 1, err);
}

int sl_jail_template_stop(struct sl_jail_client *client, uint32_t template, struct sl_error *err) {
    struct sl_jail__request request = {.op = SL_JAIL__TEMPLATE_STOP, .template = template};
    return request_send(client, &request, NULL, 0, err);
}

int sl_jail_stop(struct sl_jail_client *client, uint64_t id, struct sl_error *err) {
    struct sl_jail__request request = {.op = SL_JAIL__STOP, .id = id};
    return request_send(client, &request, NULL, 0, err);
}

int sl_jail_set_cpu(struct sl_jail_client *client, uint64_t id, uint32_t cpu_milli, struct sl_error *err) {
    struct sl_jail__request request = {.op = SL_JAIL__SET_CPU, .id = id, .cpu_milli = cpu_milli};
    return request_send(client, &request, NULL, 0, err);
}

uint32_t sl_jail_cpu_for_memory(uint32_t memory_mb) {
    uint64_t milli = (uint64_t)memory_mb * 1000 / 1769;
    return milli == 0 ? 1 : (uint32_t)milli;
}

int sl_jail_client_wait(struct sl_jail_client *client, int timeout_ms, struct sl_error *err) {
    struct pollfd wait = {.fd = client->socket, .events = POLLIN};
    struct sl_jail__reply reply;
    int fds[SL_JAIL__FDS];
    int rc;
    do rc = poll(&wait, 1, timeout_ms);
    while (rc < 0 && errno == EINTR);
    if (rc == 0) return sl_fail(err, SL_E_UNAVAILABLE, "the spawner does not say that it is ready");
    if (rc < 0 || sl_jail__receive(client->socket, &reply, sizeof reply, fds) != 1) {
        return sl_fail(err, SL_E_UNAVAILABLE, "the spawner process ended while starting");
    }
    sl_jail__close_all(fds, SL_JAIL__FDS);
    reply.step[sizeof reply.step - 1] = '\0';
    if (reply.error != 0) return sl_fail(err, SL_E_UNAVAILABLE, "functions cannot run: %s", reply.step);
    return SL_OK;
}

int sl_jail_poll(struct sl_jail_client *client, struct sl_jail_event *event) {
    struct sl_jail__reply reply;
    int fds[SL_JAIL__FDS];
    int rc;
    do rc = sl_jail__receive(client->socket, &reply, sizeof reply, fds);
    while (rc == 1 && reply.kind == SL_JAIL__HELLO);
    if (rc == -EAGAIN) return 0;
    if (rc <= 0 && rc != -EMFILE) return -1;
    *event = (struct sl_jail_event){.listen_fd = {-1, -1, -1},
                                    .log_fd = -1,
                                    .memory_fd = -1,
                                    .freeze_fd = -1,
                                    .connector_fd = -1,
                                    .memory_peak = -1};
    event->kind = (enum sl_jail_event_kind)reply.kind;
    event->id = reply.id;
    event->program = reply.program;
    event->pid = reply.pid;
    event->network = (reply.flags & SL_JAIL__REPLY_NETWORK) != 0;
    event->error = reply.error;
    event->status = reply.status;
    event->oom_killed = (reply.flags & SL_JAIL__REPLY_OOM) != 0;
    event->memory_peak = reply.memory_peak;
    _Static_assert(sizeof event->step == sizeof reply.step, "step is copied whole");
    memcpy(event->step, reply.step, sizeof event->step);
    event->step[sizeof event->step - 1] = '\0';
    // With -EMFILE the descriptors are lost but the message is whole: an event with listen_fds of -1 lets the caller
    // stop it.
    unsigned next = 0;
    if (reply.flags & SL_JAIL__REPLY_LISTEN) {
        for (unsigned i = 0; i < SL_JAIL_LISTENERS; i++) event->listen_fd[i] = fds[next++];
    }
    if (reply.flags & SL_JAIL__REPLY_LOG) event->log_fd = fds[next++];
    if (reply.flags & SL_JAIL__REPLY_MEMORY) event->memory_fd = fds[next++];
    if (reply.flags & SL_JAIL__REPLY_FREEZE) event->freeze_fd = fds[next++];
    if (reply.flags & SL_JAIL__REPLY_CONNECTOR) event->connector_fd = fds[next++];
    for (unsigned i = 0; i < next; i++) fds[i] = -1;
    sl_jail__close_all(fds, SL_JAIL__FDS);
    return 1;
}

int64_t sl_jail_memory_peak(int memory_fd) {
    char text[32];
    if (memory_fd < 0) return -1;
    ssize_t got = pread(memory_fd, text, sizeof text - 1, 0);
    if (got <= 0) return -1;
    text[got] = '\0';
    long long bytes = strtoll(text, NULL, 10);
    return bytes >= 0 ? (int64_t)bytes : -1;
}

int sl_jail_freeze(int freeze_fd, bool frozen) {
    if (freeze_fd < 0) return -1;
    if (pwrite(freeze_fd, frozen ? "1" : "0", 1, 0) == 1) return 0;
    // The descriptor of a version 1 freezer knows words instead.
    const char *word = frozen ? "FROZEN" : "THAWED";
    return errno == EINVAL && pwrite(freeze_fd, word, 6, 0) == 6 ? 0 : -1;
}
