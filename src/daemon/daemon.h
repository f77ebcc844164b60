// SPDX-License-Identifier: Apache-2.0
//
// daemon: `sluice serve` as processes.
//
//   supervisor (serve.c)   opens the listening sockets and the data directory, forks the two others, restarts them
//   together when one crashes
//     ├─ spawner           src/jail: holds the privileges, no threads, no network protocol
//     └─ server (server.c) gives up every privilege, then: loop threads, storage thread, log writer
//
// The supervisor holds no end of the socket between the other two: each sees the other's death as end-of-file.
#ifndef SL_DAEMON_DAEMON_H
#define SL_DAEMON_DAEMON_H

#include "aws/app.h"
#include "aws/identity.h"
#include "aws/session.h"
#include "base/error.h"
#include "http/http.h"
#include "invoke/engine.h"
#include "net/loop.h"

#include <stdatomic.h>
#include <sys/types.h>

enum { SL_THREADS_MAX = 64 };

// What `serve` was asked to do, and what the supervisor prepared. Constant in the server.
struct sl_daemon_config {
    const char *data;              // as given, for messages; NULL with --memory
    int data_dir;                  // directory fd or -1
    int runtimes_dir;              // directory fd
    int listeners[SL_THREADS_MAX]; // one per loop thread, same address and port
    int port;
    char host[64]; // "127.0.0.1", "[::1]": as in the ready line
    unsigned threads;
    unsigned max_instances;
    unsigned account_concurrency, scaling_rate, request_rate; // as in struct sl_invoker_config
    int64_t idle_seconds, max_age_seconds, activation_ms, inactive_seconds;
    int64_t memory_budget_mb; // of all instances
    unsigned blanks;          // languages kept started
    int64_t blank_memory_mb, blank_idle_seconds;
    bool templates;
    bool single_use, no_freeze;
    enum sl_send_ahead send_ahead;
    bool network, nearest_runtime, test_clock;
    bool enforce;     // --iam enforce: every request must be signed by a known caller, and allowed
    uid_t server_uid; // what a root start changes to
    gid_t server_gid;
    int spawner;   // the server's end of the socket to the spawner
    bool announce; // print the ready line (the first start only)
};

struct sl_jail_config;

// The verb. argv[0] is "serve".
int sl_daemon_serve(int argc, char **argv);
// Opens the folder of the language bootstraps: `given`, else beside the program, else where it was installed. -1 with
// errno set.
int sl_daemon_open_runtimes(const char *given);
// Runs spawner and server until they are asked to end or the server cannot live; returns the exit status.
int sl_daemon_supervise(struct sl_daemon_config *config, const struct sl_jail_config *jail);
// Body of the server process; returns its exit status.
int sl_daemon_server(const struct sl_daemon_config *config);

// Every handler table of the program, NULL-terminated.
struct sl_op_entry;
extern const struct sl_op_entry *const sl_daemon_tables[];

// Exit statuses of a server that could not start: the supervisor does not try again; and of one that was reset: it
// starts the next one.
enum { SL_EXIT_CANNOT_START = 3, SL_EXIT_RESET = 4 };

// --- front.c: which part of the server answers a request
struct sl_aws;
struct sl_logs;
struct sl_event_queue;

struct sl_front {
    struct sl_app app;
    struct sl_aws *aws;
    struct sl_logs *logs;
    struct sl_event_queue *events;
    struct sl_identity_config callers;
    bool test_clock, throw_away;
    struct sl_aws *inside;                 // the same operations for functions, see door.c
    const struct sl_http_config *http;     // of the listeners
    struct sl_session_secret secret;       // of sessions; constant
    struct sl_door *doors[SL_THREADS_MAX]; // open ones, by loop
    atomic_bool doors_shut;                // functions are served no more
    atomic_bool resetting;                 // hooks.c
    struct {
        struct sl_http_request *pending; // waits for its answer; NULL when its client has gone
        struct sl_loop *loop;            // whose it is
        struct sl_mail mail;
    } reset;
    atomic_bool ending; // answers that never end by themselves must end now
};
extern const struct sl_http_handler sl_front_handler; // user: struct sl_front *

// --- door.c: the way of functions to the AWS APIs (struct sl_invoker_doors; user: struct sl_front *)
struct sl_door *sl_door_open(void *user, struct sl_loop *loop, int listen_fd);
void sl_door_close(struct sl_door *door);
// On that loop's thread, before it ends: closes those that are left.
void sl_doors_end(struct sl_front *front, unsigned loop);

// --- guest.c: functions as callers (user: struct sl_front *)
struct sl_aws_identity;
struct sl_function;
struct sl_invoker_credentials;
struct sl_op;
struct sl_sigv4;
int sl_guest_credentials(void *user, const struct sl_function *function, int64_t seconds,
                         struct sl_invoker_credentials *ret, struct sl_error *err);
int sl_guest_identify(void *user, struct sl_arena *arena, const struct sl_sigv4 *signature, int64_t now_ms,
                      struct sl_aws_identity *ret, struct sl_error *err);
// Whether the input names something of another account (a source of events, a destination).
bool sl_guest_names_foreigner(const struct sl_op *op);
// Of a session whose role was never created.
int sl_guest_authorize(struct sl_op *op, struct sl_error *err);

// --- callers.c: who may call: makes front->callers, before the store is loaded from
int sl_daemon_callers_new(struct sl_front *front, const struct sl_daemon_config *config, struct sl_error *err);
void sl_daemon_callers_free(struct sl_front *front);
// Once the store is loaded: a listener that other machines reach needs somebody who can sign.
int sl_daemon_callers_check(const struct sl_front *front, struct sl_error *err);
// Whether the request may have what is no AWS API (/_sluice/, hooks); where nothing is enforced, everybody.
bool sl_daemon_may_operate(struct sl_front *front, struct sl_http_request *request);
// Callbacks of both operation engines (user: struct sl_front *); functions are identified by guest.c.
int sl_daemon_identify(void *user, struct sl_arena *arena, const struct sl_sigv4 *signature, int64_t now_ms,
                       struct sl_aws_identity *ret, struct sl_error *err);
int sl_daemon_authorize(void *user, struct sl_op *op, struct sl_error *err);

// --- events.c: /_sluice/events
bool sl_daemon_events_owns(const struct sl_http_request *request);
void sl_daemon_events_handle(struct sl_front *front, struct sl_http_request *request);

// --- sources.c: makes front->app.sources
int sl_daemon_sources_new(struct sl_front *front, struct sl_loop *loop, struct sl_error *err);

// --- deliver.c: what the event queue tells others (events/queue.h). user: struct sl_front *
struct sl_arena;
struct sl_event_letter;
struct sl_store_tx;
int sl_daemon_deliver(void *user, struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_event_letter *letter,
                      int64_t now_ms, int64_t *ret_token, struct sl_error *err);
void sl_daemon_delivered(void *user, struct sl_str target, int64_t token);

// --- hooks.c: paths of other emulators
bool sl_hooks_own(const struct sl_http_request *request);
void sl_hooks_handle(struct sl_front *front, struct sl_http_request *request);
// After every listener has stopped accepting: the answer to the reset.
void sl_hooks_answer(struct sl_front *front);

// --- bill.c: GET /_sluice/bill
void sl_daemon_bill(struct sl_front *front, struct sl_http_request *request);

// --- measure.c: what the engine measured becomes metrics. `user` is the sl_series; on the storage thread
struct sl_measured;
void sl_measure_function(void *user, const struct sl_measured *measured);
struct sl_event_measured;
void sl_measure_event(void *user, const struct sl_event_measured *measured);

// --- local.c: /_sluice/...
bool sl_local_owns(const struct sl_http_request *request);
void sl_local_handle(struct sl_front *front, struct sl_http_request *request);

#endif
