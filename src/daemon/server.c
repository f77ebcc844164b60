// SPDX-License-Identifier: Apache-2.0
//
// server: the process that serves. Gives up every right first, then builds the parts bottom up (store, logs, loops,
// invoker, gateway, queue, operation engine), loads what is stored, starts the loop threads and waits for a signal. The
// end is the same in reverse, in an order that drops nothing: listeners drain, running events finish, instances stop,
// loops end, the store closes.
#include "daemon/daemon.h"

#include "aws/aws.h"
#include "base/log.h"
#include "events/queue.h"
#include "events/source.h"
#include "gateway/gateway.h"
#include "invoke/engine.h"
#include "jail/jail.h"
#include "lambda/lambda.h"
#include "net/pool.h"
#include "net/rcu.h"
#include "observe/logs.h"
#include "observe/series.h"
#include "services/iam/iam.h"
#include "services/logs/logs.h"
#include "services/metrics/metrics.h"
#include "services/s3/s3.h"
#include "services/sqs/sqs.h"
#include "services/sts/sts.h"
#include "store/archive.h"
#include "store/store.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    INIT_LIMIT_MS = 10000,
    SNAPSHOTS_MAX = 32,      // instances kept at the snapshots of versions with SnapStart
    SPAWNER_WAIT_MS = 30000, // it may wait for other servers of the machine
    FREEZE_MS = 20,          // longer than a busy function's instance is idle between two events
    CONNECTIONS_MAX = 16384, // per loop thread
    STORE_JOBS_MAX = 65536,
    EVENTS_RUNNING_MAX = 200,
    POOL_THREADS = 4, // unpacking, hashing, files of objects: these wait for the disk more than they compute
    POOL_QUEUE_MAX = 1024,
    LOG_FLUSH_MS = 100,
    DRAIN_STEP_NS = 5 * 1000 * 1000,
    INSTANCES_END_STEPS = 1000,
};

struct worker {
    struct server *server;
    unsigned index;
    struct sl_loop *loop;
    pthread_t thread;
    struct sl_http_listener *listener;
    struct sl_timer log_timer;
    struct sl_mail mail;
};

struct server {
    const struct sl_daemon_config *config;
    struct sl_front front;
    struct sl_http_config http;
    struct sl_jail_client *jail;
    struct sl_pool *workers_pool;
    struct worker workers[SL_THREADS_MAX];
    struct sl_loop *loops[SL_THREADS_MAX];
    unsigned started;
    atomic_uint ready, accepting, draining;
    atomic_bool failed;
    char public_host[80];
};

// ---- rights -----------------------------------------------------------------------------------------------------

enum { DESCRIPTORS = 16384 /* 2,000 instances; 8 bytes each */ };

// The kernel's table of descriptors grows by doubling, and in a process with several threads each time waits for an RCU
// grace period: 15 ms in the middle of whichever cold start brought the one too many. Now there are none yet.
static void widen_descriptors(rlim_t limit) {
    rlim_t wanted = limit < DESCRIPTORS ? limit : DESCRIPTORS;
    int last = wanted > 3 ? fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, (int)wanted - 1) : -1;
    if (last >= 0) close(last);
}

// Everything the server could do as root it can do no more after this; the listening sockets, the data directory's
// descriptor and the socket to the spawner are all it keeps.
static int give_up_rights(const struct sl_daemon_config *config, struct sl_error *err) {
    if (config->data_dir >= 0 && fchdir(config->data_dir)) return sl_fail_errno(err, "enter the data directory");
    if (geteuid() == 0) {
        for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
            prctl(PR_CAPBSET_DROP, capability);
        if (setgroups(0, NULL) || setresgid(config->server_gid, config->server_gid, config->server_gid) ||
            setresuid(config->server_uid, config->server_uid, config->server_uid)) {
            return sl_fail_errno(err, "change to user %u", config->server_uid);
        }
    }
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}, {0}};
    if (syscall(SYS_capset, &header, none)) return sl_fail_errno(err, "drop capabilities");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return sl_fail_errno(err, "set no_new_privs");
    // The change of user cleared this; without it a killed supervisor would leave the server behind.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#ifdef __SANITIZE_ADDRESS__
    // The leak check at the end attaches to this process, which the change of user forbids otherwise.
    prctl(PR_SET_DUMPABLE, 1);
#endif
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
        widen_descriptors(files.rlim_max);
    }
    return 0;
}

// ---- parts ------------------------------------------------------------------------------------------------------

static void function_log(void *user, unsigned loop, const struct sl_function *function, const char *stream,
                         struct sl_str lines) {
    struct server *server = user;
    const struct sl_log_group group = {function->account, function->region, function->log_group};
    sl_logs_append(server->front.logs, loop, &group, sl_str_of(stream), lines);
}

static int make_loops(struct server *server, struct sl_error *err) {
    for (unsigned i = 0; i < server->config->threads; i++) {
        struct sl_loop_config config = {
            .index = (int)i, .quiescent = sl_rcu_quiescent, .offline = sl_rcu_offline, .online = sl_rcu_online};
        if (sl_loop_new(&server->loops[i], &config, err)) return err->kind;
        server->workers[i] = (struct worker){.server = server, .index = i, .loop = server->loops[i]};
    }
    return 0;
}

static int make_engine(struct server *server, struct sl_error *err) {
    const struct sl_daemon_config *config = server->config;
    struct sl_app *app = &server->front.app;
    server->jail = sl_jail_client_new(config->spawner);
    if (!server->jail) return sl_fail(err, SL_E_NO_MEMORY, "no memory for the spawner's client");
    struct sl_invoker_config invoker = {
        .loops = server->loops,
        .loop_count = config->threads,
        .jail = server->jail,
        .store = app->store,
        .ledger = &sl_ledger,
        .measured = sl_measure_function,
        .measured_user = app->series,
        .log = function_log,
        .log_user = server,
        .doors = {.user = &server->front,
                  .credentials = sl_guest_credentials,
                  .open = sl_door_open,
                  .close = sl_door_close},
        .max_instances = config->max_instances,
        .memory_bytes = config->memory_budget_mb * 1048576,
        .account_concurrency = config->account_concurrency,
        .scaling_rate = config->scaling_rate,
        .request_rate = config->request_rate,
        .idle_ms = config->idle_seconds * 1000,
        .max_age_ms = config->max_age_seconds * 1000,
        .inactive_ms = config->inactive_seconds * 1000,
        .activation_ms = config->activation_ms,
        .send_ahead = config->send_ahead,
        .freeze_ms = config->no_freeze ? 0 : FREEZE_MS,
        .single_use = config->single_use,
        .blanks = config->blanks,
        .blank_bytes = config->blank_memory_mb * 1048576,
        .blank_idle_ms = config->blank_idle_seconds * 1000,
        .templates = config->templates,
        .init_ms = INIT_LIMIT_MS,
        .snapshots = SNAPSHOTS_MAX,
        .network = config->network,
    };
    struct sl_gateway_config gateway = {.threads = config->threads};
    struct sl_event_queue_config events = {.store = app->store,
                                           .loop = server->loops[0],
                                           .max_running = EVENTS_RUNNING_MAX,
                                           .deliver = sl_daemon_deliver,
                                           .delivered = sl_daemon_delivered,
                                           .user = &server->front,
                                           .measured = sl_measure_event,
                                           .measured_user = app->series};
    if (sl_invoker_new(&app->invoker, &invoker, err)) return err->kind;
    gateway.invoker = events.invoker = app->invoker;
    if (sl_gateway_new(&app->gateway, &gateway, err) || sl_event_queue_new(&app->events, &events, err))
        return err->kind;
    server->front.events = app->events;
    return sl_daemon_sources_new(&server->front, server->loops[0], err);
}

// A piece of slow work on its way through the pool.
struct errand {
    struct sl_work work;
    void (*run)(void *), (*done)(void *);
    void *argument;
};

static void errand_run(struct sl_work *work) {
    struct errand *errand = SL_CONTAINER(work, struct errand, work);
    errand->run(errand->argument);
}

static void errand_done(struct sl_work *work) {
    struct errand *errand = SL_CONTAINER(work, struct errand, work);
    errand->done(errand->argument);
    free(errand);
}

static int offload(void *user, struct sl_loop *home, void (*run)(void *), void (*done)(void *), void *argument,
                   struct sl_error *err) {
    struct errand *errand = malloc(sizeof *errand);
    if (!errand) return sl_fail(err, SL_E_NO_MEMORY, "no memory for work");
    *errand = (struct errand){.run = run, .done = done, .argument = argument};
    if (sl_pool_submit(user, &errand->work, home, errand_run, errand_done, err) == 0) return 0;
    free(errand);
    return err->kind;
}

const struct sl_op_entry *const sl_daemon_tables[] = {sl_lambda_operations, sl_gateway_operations, sl_iam_operations,
                                                      sl_sts_operations,    sl_sqs_operations,     sl_s3_operations,
                                                      sl_logs_operations,   sl_metrics_operations, NULL};

static int fetch_object(const struct sl_app *app, struct sl_arena *arena, struct sl_str account, struct sl_str bucket,
                        struct sl_str key, struct sl_str version, size_t max, struct sl_str *ret,
                        struct sl_error *err) {
    return sl_s3_fetch(app->s3, arena, account, bucket, key, version, max, ret, err);
}

static int make_operations(struct server *server, struct sl_error *err) {
    struct sl_front *front = &server->front;
    struct sl_aws_config config = {.store = front->app.store,
                                   .app = &front->app,
                                   .tables = sl_daemon_tables,
                                   .identify = sl_daemon_identify,
                                   .authorize = sl_daemon_authorize,
                                   .caller_user = front,
                                   .offload = offload,
                                   .user = server->workers_pool};
    if (sl_aws_new(&front->aws, &config, err)) return err->kind;
    config.guests = true;
    config.identify = sl_guest_identify;
    return sl_aws_new(&front->inside, &config, err);
}

static int build(struct server *server, struct sl_error *err) {
    const struct sl_daemon_config *config = server->config;
    struct sl_app *app = &server->front.app;
    struct sl_store_config store = {.data_dir = config->data_dir, .max_jobs = STORE_JOBS_MAX};
    snprintf(server->public_host, sizeof server->public_host, "localhost:%d", config->port);
    app->public_host = sl_str_of(server->public_host);
    app->activation_ms = config->activation_ms;
    app->loopback = strncmp(config->host, "127.", 4) == 0 || strcmp(config->host, "[::1]") == 0;
    app->nearest_runtime = config->nearest_runtime;
    app->account_concurrency = config->account_concurrency;
    server->front.test_clock = config->test_clock;
    server->front.throw_away = config->data_dir < 0;
    server->http = (struct sl_http_config){
        .handler = &sl_front_handler,
        .user = &server->front,
        .max_head = 64 * 1024,
        .max_headers = 128,
        .max_body = 6 * 1024 * 1024,
        .head_timeout_ms = 20000,
        .body_timeout_ms = 30000,
        .idle_timeout_ms = 75000,
        .write_timeout_ms = 30000,
    };
    server->front.http = &server->http;
    if (sl_store_open(&app->store, &store, err)) return err->kind;
    if (sl_session_secret_open(config->data_dir, &server->front.secret, err)) return err->kind;
    if (sl_daemon_callers_new(&server->front, config, err)) return err->kind;
    if (sl_logs_open(&server->front.logs, config->data_dir, config->threads, err)) return err->kind;
    app->logs = server->front.logs;
    if (sl_series_new(&app->series, app->store, err)) return err->kind;
    if (sl_sqs_new(&app->sqs, app->store, err) || sl_log_tails_new(&app->tails, err)) return err->kind;
    if (sl_pool_new(&server->workers_pool, POOL_THREADS, POOL_QUEUE_MAX, err)) return err->kind;
    struct sl_s3_config s3 = {.store = app->store, .offload = offload, .user = server->workers_pool};
    if (sl_s3_new(&app->s3, &s3, err)) return err->kind;
    app->fetch_object = fetch_object;
    if (make_loops(server, err) || make_engine(server, err) || make_operations(server, err)) return err->kind;
    if (sl_iam_load(app, err) || sl_sqs_load(app, err) || sl_s3_load(app, err) ||
        sl_daemon_callers_check(&server->front, err))
        return err->kind;
    if (sl_lambda_load(app, err) || sl_lambda_load_sources(app, err) || sl_gateway_load(app, err)) return err->kind;
    return 0;
}

// ---- loop threads -----------------------------------------------------------------------------------------------

static void flush_logs(struct sl_timer *timer) {
    struct worker *worker = SL_CONTAINER(timer, struct worker, log_timer);
    sl_logs_flush(worker->server->front.logs, worker->index);
    if (worker->index == 0) sl_series_tick(worker->server->front.app.series);
    sl_timer_start(worker->loop, timer, LOG_FLUSH_MS, flush_logs);
}

static void start_worker(struct sl_mail *mail) {
    struct worker *worker = SL_CONTAINER(mail, struct worker, mail);
    struct server *server = worker->server;
    struct sl_error err;
    if (sl_invoker_attach(server->front.app.invoker, worker->index, &err) ||
        sl_http_listen(worker->loop, server->config->listeners[worker->index], &server->http, CONNECTIONS_MAX,
                       &worker->listener, &err)) {
        sl_log_error("server", "%s", err.message);
        atomic_store(&server->failed, true);
    }
    if (worker->index == 0) {
        sl_event_queue_start(server->front.events);
        sl_event_sources_start(server->front.app.sources);
        sl_sqs_start(server->front.app.sqs, worker->loop);
        sl_s3_start(server->front.app.s3);
    }
    sl_timer_start(worker->loop, &worker->log_timer, LOG_FLUSH_MS, flush_logs);
    atomic_fetch_add(&server->ready, 1);
}

static void *worker_main(void *user) {
    struct worker *worker = user;
    char name[16];
    snprintf(name, sizeof name, "loop-%u", worker->index);
    pthread_setname_np(pthread_self(), name);
    sl_rcu_reader_start();
    sl_loop_run(worker->loop);
    sl_rcu_reader_stop();
    return NULL;
}

static void nap(void) {
    struct timespec step = {.tv_nsec = DRAIN_STEP_NS};
    nanosleep(&step, NULL);
}

static int start_workers(struct server *server, struct sl_error *err) {
    for (unsigned i = 0; i < server->config->threads; i++) {
        struct worker *worker = &server->workers[i];
        sl_loop_post(worker->loop, &worker->mail, start_worker);
        if (pthread_create(&worker->thread, NULL, worker_main, worker))
            return sl_fail(err, SL_E_INTERNAL, "cannot start a thread");
        server->started++;
    }
    while (atomic_load(&server->ready) < server->started) nap();
    return atomic_load(&server->failed) ? sl_fail(err, SL_E_INTERNAL, "cannot serve") : 0;
}

// ---- the end ----------------------------------------------------------------------------------------------------

static void drained(void *user) { atomic_fetch_sub(&((struct server *)user)->draining, 1); }

static void drain_listener(struct sl_mail *mail) {
    struct worker *worker = SL_CONTAINER(mail, struct worker, mail);
    sl_http_listener_drain(worker->listener, drained, worker->server);
    atomic_fetch_sub(&worker->server->accepting, 1);
}

static void drain_events(struct sl_mail *mail) {
    struct worker *worker = SL_CONTAINER(mail, struct worker, mail);
    sl_event_queue_drain(worker->server->front.events);
    sl_event_sources_drain(worker->server->front.app.sources);
    sl_sqs_stop_timers(worker->server->front.app.sqs);
    atomic_fetch_sub(&worker->server->draining, 1);
}

static void free_listener(struct sl_mail *mail) {
    struct worker *worker = SL_CONTAINER(mail, struct worker, mail);
    sl_timer_stop(&worker->log_timer);
    if (worker->listener) sl_http_listener_free(worker->listener);
    sl_doors_end(&worker->server->front, worker->index);
    sl_loop_stop(worker->loop);
}

static void tell(struct server *server, unsigned count, void (*what)(struct sl_mail *)) {
    for (unsigned i = 0; i < count; i++) sl_loop_post(server->workers[i].loop, &server->workers[i].mail, what);
}

// Finishes what was accepted: requests in progress are answered, running events settle. Stored events wait for the next
// start; with --memory there is none, so they are executed first, unless they are to be forgotten (`reset`).
static void drain(struct server *server, bool reset) {
    struct sl_front *front = &server->front;
    atomic_store(&front->ending, true);
    atomic_store(&server->draining, server->started);
    atomic_store(&server->accepting, server->started);
    sl_sqs_stop(front->app.sqs); // long polls end now
    sl_log_tails_stop(front->app.tails);
    tell(server, server->started, drain_listener);
    while (reset && atomic_load(&server->accepting)) nap();
    if (reset) sl_hooks_answer(front);
    while (atomic_load(&server->draining)) nap();
    while (!reset && server->config->data_dir < 0 && sl_event_queue_busy(front->events)) nap();
    atomic_store(&server->draining, 1);
    tell(server, 1, drain_events);
    while (atomic_load(&server->draining)) nap();
    // What runs may still need the AWS APIs; what idles must not keep us.
    while (sl_event_queue_busy(front->events) || sl_event_sources_busy(front->app.sources) ||
           sl_invoker_busy(front->app.invoker) || sl_aws_busy(front->aws))
        nap();
    atomic_store(&front->doors_shut, true);
    while (sl_event_queue_busy(front->events) || sl_event_sources_busy(front->app.sources) ||
           sl_invoker_busy(front->app.invoker) || sl_aws_busy(front->inside) || sl_sqs_busy(front->app.sqs) ||
           sl_s3_busy(front->app.s3))
        nap();
    sl_invoker_drain(front->app.invoker);
    // A sandbox that does not die in time is left to the spawner, which ends with us.
    for (int i = 0; i < INSTANCES_END_STEPS && sl_invoker_instances(front->app.invoker); i++) nap();
    tell(server, server->started, free_listener);
    for (unsigned i = 0; i < server->started; i++) pthread_join(server->workers[i].thread, NULL);
}

static void release(struct server *server) {
    struct sl_front *front = &server->front;
    if (server->workers_pool) sl_pool_free(server->workers_pool);
    if (front->app.invoker) sl_invoker_settle(front->app.invoker);
    if (front->app.store) sl_series_close(front->app.series);
    // The store before what it publishes into: its thread also sends letters to the loops.
    if (front->app.store) sl_store_close(front->app.store);
    sl_event_queue_free(front->app.events);
    sl_event_sources_free(front->app.sources);
    sl_gateway_free(front->app.gateway);
    sl_aws_free(front->aws);
    sl_aws_free(front->inside);
    sl_series_free(front->app.series);
    sl_daemon_callers_free(front);
    sl_sqs_free(front->app.sqs);
    sl_log_tails_free(front->app.tails);
    sl_s3_free(front->app.s3);
    sl_invoker_free(front->app.invoker);
    sl_jail_client_free(server->jail);
    for (unsigned i = 0; i < server->config->threads; i++) {
        if (server->loops[i]) sl_loop_free(server->loops[i]);
    }
    sl_logs_close(front->logs);
}

// ---- main -------------------------------------------------------------------------------------------------------

static int serve_until_signal(struct server *server) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1); // hooks.c
    int number;
    sigwait(&signals, &number);
    bool reset = number == SIGUSR1;
    sl_log_info("server", "%s", reset ? "ending: to be started anew" : "ending: finishing what was accepted");
    // A second signal ends the process at once: the default action of one that is no longer blocked in this thread.
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    drain(server, reset);
    return reset ? SL_EXIT_RESET : 0;
}

int sl_daemon_server(const struct sl_daemon_config *config) {
    static struct server server;
    struct sl_error err;
    server.config = config;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    // Blocked before any thread exists, so that only the main thread takes them.
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    // Libraries before rights: afterwards this process may not be able to read them.
    if (sl_archive_load(&err) || give_up_rights(config, &err) || build(&server, &err) ||
        sl_jail_client_wait(server.jail, SPAWNER_WAIT_MS, &err) || start_workers(&server, &err)) {
        sl_log_error("server", "%s", err.message);
        fprintf(stderr, "sluice serve: %s\n", err.message);
        _exit(SL_EXIT_CANNOT_START);
    }
    if (config->announce) {
        printf("ready http://%s:%d\n", config->host, config->port);
        fflush(stdout);
    }
    sl_log_info("server", "serving on %s:%d with %u loop threads", config->host, config->port, config->threads);
    int status = serve_until_signal(&server);
    release(&server);
    sl_log_info("server", "ended");
    return status;
}
