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

int sl_jail_start(struct sl_jail_client *client, uint64_t id, const struct sl_jail_spec *spec, struct sl_error *err) {
    if (id == 0) return sl_fail(err, SL_E_INVALID, "a sandbox needs a non-zero id");
    if (spec->code_dir_fd < 0 || spec->block_fd < 0) {
        return sl_fail(err, SL_E_INVALID, "a sandbox needs a code directory and a block");
    }
    struct sl_jail__request request = {
        .op = SL_JAIL__START,
        .flags = (spec->network ? SL_JAIL__START_NETWORK : 0u) | (spec->opt_dir_fd >= 0 ? SL_JAIL__START_OPT : 0u),
        .id = id,
        .memory_mb = spec->memory_mb,
        .cpu_milli = spec->cpu_milli,
        .pids = spec->pids != 0 ? spec->pids : 1024,
        .fds = spec->fds != 0 ? spec->fds : 1024,
        .tmp_mb = spec->tmp_mb != 0 ? spec->tmp_mb : 512,
    };
    int fds[3] = {spec->code_dir_fd, spec->block_fd, spec->opt_dir_fd};
    return request_send(client, &request, fds, spec->opt_dir_fd >= 0 ? 3 : 2, err);
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

int sl_jail_poll(struct sl_jail_client *client, struct sl_jail_event *event) {
    struct sl_jail__reply reply;
    int fds[SL_JAIL__FDS];
    int rc = sl_jail__receive(client->socket, &reply, sizeof reply, fds);
    if (rc == -EAGAIN) return 0;
    if (rc <= 0 && rc != -EMFILE) return -1;
    *event = (struct sl_jail_event){.listen_fd = {-1, -1}, .log_fd = -1, .memory_fd = -1, .memory_peak = -1};
    event->kind = (enum sl_jail_event_kind)reply.kind;
    event->id = reply.id;
    event->pid = reply.pid;
    event->network = (reply.flags & SL_JAIL__REPLY_NETWORK) != 0;
    event->error = reply.error;
    event->status = reply.status;
    event->oom_killed = (reply.flags & SL_JAIL__REPLY_OOM) != 0;
    event->memory_peak = reply.memory_peak;
    _Static_assert(sizeof event->step == sizeof reply.step, "step is copied whole");
    memcpy(event->step, reply.step, sizeof event->step);
    event->step[sizeof event->step - 1] = '\0';
    if (event->kind == SL_JAIL_STARTED) {
        // With -EMFILE the descriptors are lost but the message is whole: an event with listen_fds of -1 lets the
        // caller stop it.
        event->listen_fd[0] = fds[0];
        event->listen_fd[1] = fds[1];
        event->log_fd = fds[2];
        event->memory_fd = fds[3];
        fds[0] = fds[1] = fds[2] = fds[3] = -1;
    }
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
