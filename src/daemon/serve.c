// SPDX-License-Identifier: Apache-2.0
//
// serve: the verb. It prepares what needs rights or must outlive a crash of the server (listening sockets, data
// directory, runtimes folder), and supervises (supervise.c). One thread.
#include "daemon/daemon.h"

#include "base/log.h"
#include "cli/options.h"
#include "invoke/runtimes.h"
#include "jail/jail.h"
#include "net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FIRST_SANDBOX_UID = 200000,
    SERVER_UID = 199999, // without a user named "sluice"
    SPARE_SLOTS = 32,    // sandboxes being torn down still occupy the spawner's slots
};

struct values {
    const char *listen, *data, *log_level, *runtimes, *send_ahead, *iam;
    int64_t threads, max_instances, idle_seconds, max_age_seconds, memory_budget_mb, activation_ms, inactive_seconds;
    int64_t account_concurrency, scaling_rate, request_rate, blanks, blank_memory_mb, blank_idle_seconds;
    bool no_templates, single_use, no_freeze, memory, nearest_runtime, no_network, test_clock;
    struct sl_option_list allow;
};

static const struct sl_option serve_options[] = {
    {.name = "listen",
     .type = SL_OPTION_TEXT,
     .value = "ADDRESS",
     .help = "address and port to serve on (default 127.0.0.1:4566)",
     SL_OPTION_AT(struct values, listen)},
    {.name = "data",
     .type = SL_OPTION_TEXT,
     .value = "DIR",
     .environment = "SLUICE_DATA",
     .help = "where state lives (default $XDG_DATA_HOME/sluice, as root /var/lib/sluice)",
     SL_OPTION_AT(struct values, data)},
    {.name = "memory",
     .type = SL_OPTION_FLAG,
     .help = "keep nothing: state ends with the process",
     SL_OPTION_AT(struct values, memory)},
    {.name = "threads",
     .type = SL_OPTION_NUMBER,
     .min = 1,
     .max = SL_THREADS_MAX,
     .value = "N",
     .help = "loop threads (default: one per core)",
     SL_OPTION_AT(struct values, threads)},
    {.name = "max-instances",
     .type = SL_OPTION_NUMBER,
     .min = 1,
     .max = 4000,
     .value = "N",
     .help = "most function instances at a time (default 1000)",
     SL_OPTION_AT(struct values, max_instances)},
    {.name = "idle",
     .type = SL_OPTION_NUMBER,
     .min = 1,
     .max = 86400,
     .value = "SECONDS",
     .help = "stop an instance that was idle this long (default 600)",
     SL_OPTION_AT(struct values, idle_seconds)},
    {.name = "max-age",
     .type = SL_OPTION_NUMBER,
     .min = 0,
     .max = 30 * 86400,
     .value = "SECONDS",
     .help = "replace an instance that is this old when it is idle (default 14400; 0: never)",
     SL_OPTION_AT(struct values, max_age_seconds)},
    {.name = "single-use",
     .type = SL_OPTION_FLAG,
     .help = "give every invocation an instance of its own, which ends after it",
     SL_OPTION_AT(struct values, single_use)},
    {.name = "no-freeze",
     .type = SL_OPTION_FLAG,
     .help = "let idle instances go on with what they do in the background",
     SL_OPTION_AT(struct values, no_freeze)},
    {.name = "send-ahead",
     .type = SL_OPTION_TEXT,
     .value = "WHEN",
     .help = "give an instance its next event before it has answered: auto (short functions that compute; default), "
             "always or never",
     SL_OPTION_AT(struct values, send_ahead)},
    {.name = "memory-budget",
     .type = SL_OPTION_NUMBER,
     .min = 0,
     .max = 1 << 30,
     .value = "MB",
     .help = "memory for all instances; over it the longest idle is stopped, then calls wait (default: 80% of the "
             "machine's; 0: no limit)",
     SL_OPTION_AT(struct values, memory_budget_mb)},
    {.name = "account-concurrency",
     .type = SL_OPTION_NUMBER,
     .min = 101,
     .max = 100000,
     .value = "N",
     .help = "concurrent invocations of an account in a region (default 1000)",
     SL_OPTION_AT(struct values, account_concurrency)},
    {.name = "scaling-rate",
     .type = SL_OPTION_NUMBER,
     .min = 0,
     .max = 1000000,
     .value = "N",
     .help = "instances that a function may add in 10 seconds (default 1000, as AWS; 0: no limit)",
     SL_OPTION_AT(struct values, scaling_rate)},
    {.name = "request-rate",
     .type = SL_OPTION_NUMBER,
     .min = 0,
     .max = 1000000,
     .value = "N",
     .help = "requests per second for each unit of a concurrency limit (AWS: 10; default 0: no limit)",
     SL_OPTION_AT(struct values, request_rate)},
    {.name = "activation",
     .type = SL_OPTION_NUMBER,
     .min = 0,
     .max = 600000,
     .value = "MILLISECONDS",
     .help = "how long a new function stays Pending and an update InProgress, as on AWS (default 0)",
     SL_OPTION_AT(struct values, activation_ms)},
    {.name = "inactive",
     .type = SL_OPTION_NUMBER,
     .min = 0,
     .max = 3650 * 86400LL,
     .value = "SECONDS",
     .help = "a container image that nobody invoked for this long is Inactive, as on AWS (default 1209600; 0: never)",
     SL_OPTION_AT(struct values, inactive_seconds)},
    {.name = "blanks",
     .type = SL_OPTION_NUMBER,
     .min = 0,
     .max = 256,
     .value = "N",
     .help = "most languages kept started for the next cold start, of all runtimes (default 16; 0: none)",
     SL_OPTION_AT(struct values, blanks)},
    {.name = "blank-memory",
     .type = SL_OPTION_NUMBER,
     .min = 0,
     .max = 1 << 20,
     .value = "MB",
     .help = "memory that they may use together (default: 5% of the machine's, 512 at most)",
     SL_OPTION_AT(struct values, blank_memory_mb)},
    {.name = "blank-idle",
     .type = SL_OPTION_NUMBER,
     .min = 1,
     .max = 30 * 86400,
     .value = "SECONDS",
     .help = "give up those of a runtime that had no cold start for so long (default 600)",
     SL_OPTION_AT(struct values, blank_idle_seconds)},
    {.name = "no-templates",
     .type = SL_OPTION_FLAG,
     .help = "start each Python and Ruby by itself instead of copying one: more memory, nothing in common",
     SL_OPTION_AT(struct values, no_templates)},
    {.name = "nearest-runtime",
     .type = SL_OPTION_FLAG,
     .help = "serve a runtime whose exact version is not installed with the nearest installed one",
     SL_OPTION_AT(struct values, nearest_runtime)},
    {.name = "no-network",
     .type = SL_OPTION_FLAG,
     .help = "functions reach nothing outside",
     SL_OPTION_AT(struct values, no_network)},
    {.name = "allow",
     .type = SL_OPTION_LIST,
     .value = "ADDRESS[/BITS][:PORT]",
     .help = "let functions reach this address although it lies in a private range; may be given several times",
     SL_OPTION_AT(struct values, allow)},
    {.name = "iam",
     .type = SL_OPTION_TEXT,
     .value = "MODE",
     .help = "enforce: every request is signed by a known access key and allowed by policies; off (default): requests "
             "with unknown keys are the account's owner",
     SL_OPTION_AT(struct values, iam)},
    {.name = "log-level",
     .type = SL_OPTION_TEXT,
     .value = "LEVEL",
     .environment = "SLUICE_LOG_LEVEL",
     .help = "error, warn, info or debug (default info)",
     SL_OPTION_AT(struct values, log_level)},
    {.name = "runtimes",
     .type = SL_OPTION_TEXT,
     .value = "DIR",
     .environment = "SLUICE_RUNTIMES",
     .help = "folder of the language bootstraps (default: beside the program)",
     SL_OPTION_AT(struct values, runtimes)},
    {.name = "test-clock",
     .type = SL_OPTION_FLAG,
     .help = "let POST /_sluice/clock move the clock: for tests",
     SL_OPTION_AT(struct values, test_clock)},
    {0},
};

static const struct sl_command serve_command = {
    .name = "serve",
    .summary = "run the server in the foreground",
    .arguments = "",
    .options = serve_options,
    .text = "Prints one line \"ready http://ADDRESS\" on standard output when it serves, and logs to standard error.\n"
            "SIGTERM finishes what was accepted and ends; a second one ends at once.",
    .examples = "sluice serve\n"
                "sluice serve --listen 127.0.0.1:0 --memory\n"
                "sluice serve --data ~/project/.sluice --nearest-runtime\n",
};

// ---- preparing --------------------------------------------------------------------------------------------------

static int set_log_level(const char *name, struct sl_error *err) {
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, names[i]) == 0) {
            sl_log_set_level((enum sl_log_level)i);
            return 0;
        }
    }
    return sl_fail(err, SL_E_USAGE, "--log-level %s: choose error, warn, info or debug", name);
}

static int choose_iam(struct sl_daemon_config *config, const char *mode, struct sl_error *err) {
    config->enforce = mode && strcmp(mode, "enforce") == 0;
    if (!mode || config->enforce || strcmp(mode, "off") == 0) return 0;
    return sl_fail(err, SL_E_USAGE, "--iam %s: choose enforce or off", mode);
}

// Anyone who reaches the AWS APIs can run code here: other machines may only with a key (server.c looks for one).
static int check_listen(const char *address, bool enforce, struct sl_error *err) {
    if (enforce || strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]:", 6) == 0 ||
        strncmp(address, "localhost:", 10) == 0)
        return 0;
    return sl_fail(err, SL_E_USAGE,
                   "--listen %s: refused, because requests from other machines must be signed by a known access key: "
                   "make a user and its key on 127.0.0.1 first (docs/iam.md), then serve with --iam enforce",
                   address);
}

static int parse_allow(const char *text, struct sl_jail_allow *ret, struct sl_error *err) {
    char address[INET_ADDRSTRLEN + 16];
    snprintf(address, sizeof address, "%s", text);
    *ret = (struct sl_jail_allow){.prefix = 32};
    char *end;
    char *colon = strchr(address, ':');
    if (colon) {
        *colon = '\0';
        long port = strtol(colon + 1, &end, 10);
        if (*end || port < 1 || port > 65535)
            return sl_fail(err, SL_E_USAGE, "--allow %s: the port must be 1-65535", text);
        ret->port = (uint16_t)port;
    }
    char *slash = strchr(address, '/');
    if (slash) {
        *slash = '\0';
        long bits = strtol(slash + 1, &end, 10);
        if (*end || bits < 0 || bits > 32) return sl_fail(err, SL_E_USAGE, "--allow %s: the prefix must be 0-32", text);
        ret->prefix = (unsigned)bits;
    }
    if (inet_pton(AF_INET, address, &ret->addr) != 1) {
        return sl_fail(err, SL_E_USAGE, "--allow %s: not an IPv4 address; for example 10.0.0.5:5432 or 10.1.0.0/16",
                       text);
    }
    return 0;
}

// mkdir -p, each new folder private.
static int make_directories(const char *path, struct sl_error *err) {
    char part[4096];
    if ((size_t)snprintf(part, sizeof part, "%s", path) >= sizeof part)
        return sl_fail(err, SL_E_USAGE, "--data: path too long");
    for (char *at = part + 1; *at; at++) {
        if (*at != '/') continue;
        *at = '\0';
        if (mkdir(part, 0755) && errno != EEXIST) return sl_fail_errno(err, "--data %s: make %s", path, part);
        *at = '/';
    }
    if (mkdir(part, 0700) && errno != EEXIST) return sl_fail_errno(err, "--data %s", path);
    return 0;
}

static int default_data(char out[static 4096], struct sl_error *err) {
    const char *base = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (geteuid() == 0 && !base)
        snprintf(out, 4096, "/var/lib/sluice");
    else if (base && base[0] == '/')
        snprintf(out, 4096, "%s/sluice", base);
    else if (home)
        snprintf(out, 4096, "%s/.local/share/sluice", home);
    else
        return sl_fail(err, SL_E_USAGE,
                       "no home directory: say where state lives with --data DIR, or keep none with --memory");
    return 0;
}

static int open_data(struct sl_daemon_config *config, const char *path, struct sl_error *err) {
    if (make_directories(path, err)) return err->kind;
    config->data = path;
    config->data_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (config->data_dir < 0) return sl_fail_errno(err, "--data %s", path);
    if (geteuid() != 0) {
        if (faccessat(config->data_dir, ".", W_OK | X_OK, 0))
            return sl_fail_errno(err, "--data %s: not writable", path);
        return 0;
    }
    // The server runs as another user from here on; what it made before is its own already.
    if (fchown(config->data_dir, config->server_uid, config->server_gid))
        return sl_fail_errno(err, "--data %s: chown", path);
    return 0;
}

int sl_daemon_open_runtimes(const char *given) {
    char exe[2048] = "", path[4096];
    ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    char *slash = len > 0 ? strrchr(exe, '/') : NULL;
    if (slash) *slash = '\0';
    const char *const places[] = {"../runtimes", "../share/sluice/runtimes", NULL};
    for (int i = 0; !given && places[i]; i++) {
        snprintf(path, sizeof path, "%s/%s", exe, places[i]);
        int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir >= 0) return dir;
    }
    return open(given ? given : SL_DATADIR "/runtimes", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int open_runtimes(struct sl_daemon_config *config, const char *given, struct sl_error *err) {
    config->runtimes_dir = sl_daemon_open_runtimes(given);
    if (config->runtimes_dir >= 0) return 0;
    return sl_fail_errno(err, "cannot find the runtimes folder (%s); say where it is with --runtimes DIR",
                         given ? given : SL_DATADIR "/runtimes");
}

static int open_listeners(struct sl_daemon_config *config, const char *address, struct sl_error *err) {
    struct sl_str text = sl_str_of(address);
    const char *colon = strrchr(address, ':');
    if (!colon) return sl_fail(err, SL_E_USAGE, "--listen %s: needs a port, for example 127.0.0.1:4566", address);
    snprintf(config->host, sizeof config->host, "%.*s", (int)(colon - address), address);
    return sl_net_listen_group(text, config->threads, config->listeners, &config->port, err);
}

// A number in a file of the kernel's; -1 when there is none ("max" is none).
static int64_t read_number(const char *path) {
    char text[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) close(fd);
    return got > 0 && text[0] >= '0' && text[0] <= '9' ? strtoll(text, NULL, 10) : -1;
}

// What this machine has; in a container, what it may have.
static int64_t machine_mb(void) {
    static const char *const limits[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    int64_t bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        int64_t limit = read_number(limits[i]);
        if (limit > 0 && limit < bytes) bytes = limit;
    }
    return bytes / 1048576;
}

static void choose_memory(struct sl_daemon_config *config, const struct values *values) {
    int64_t machine = machine_mb(), blanks = machine / 20 < 512 ? machine / 20 : 512;
    config->memory_budget_mb = values->memory_budget_mb < 0 ? machine * 4 / 5 : values->memory_budget_mb;
    config->blank_memory_mb = values->blank_memory_mb < 0 ? blanks : values->blank_memory_mb;
}

static int choose_send_ahead(struct sl_daemon_config *config, const char *when, struct sl_error *err) {
    static const char *const names[] = {"auto", "always", "never"};
    static const enum sl_send_ahead values[] = {SL_SEND_AHEAD_AUTO, SL_SEND_AHEAD_ALWAYS, SL_SEND_AHEAD_NEVER};
    for (int i = 0; i < 3; i++) {
        if (when && strcmp(when, names[i]) != 0) continue;
        config->send_ahead = values[i];
        return 0;
    }
    return sl_fail(err, SL_E_USAGE, "--send-ahead: auto, always or never");
}

static void choose_user(struct sl_daemon_config *config) {
    config->server_uid = geteuid();
    config->server_gid = getegid();
    if (geteuid() != 0) return;
    const struct passwd *user = getpwnam("sluice");
    config->server_uid = user ? user->pw_uid : SERVER_UID;
    config->server_gid = user ? user->pw_gid : SERVER_UID;
}

static int prepare(struct sl_daemon_config *config, struct sl_jail_config *jail, const struct values *values,
                   struct sl_error *err) {
    static char data[4096];
    if (set_log_level(values->log_level, err)) return err->kind;
    if (values->memory && values->data)
        return sl_fail(err, SL_E_USAGE, "--memory and --data exclude each other: choose one");
    if (choose_iam(config, values->iam, err) || check_listen(values->listen, config->enforce, err)) return err->kind;
    *jail = (struct sl_jail_config){.first_uid = FIRST_SANDBOX_UID,
                                    .network = !values->no_network,
                                    .shells = 8,
                                    .max_instances = (unsigned)(values->max_instances + values->blanks) + SPARE_SLOTS};
    for (unsigned i = 0; i < values->allow.count; i++) {
        if (i == SL_JAIL_ALLOW_MAX) return sl_fail(err, SL_E_USAGE, "--allow: at most %d addresses", SL_JAIL_ALLOW_MAX);
        if (parse_allow(values->allow.item[i], &jail->allow[jail->allow_count++], err)) return err->kind;
    }
    const struct passwd *self = getpwuid(getuid());
    if (self != NULL) snprintf(jail->user, sizeof jail->user, "%s", self->pw_name);
    choose_user(config);
    config->threads = (unsigned)values->threads;
    config->max_instances = (unsigned)values->max_instances;
    config->idle_seconds = values->idle_seconds;
    config->max_age_seconds = values->max_age_seconds;
    config->single_use = values->single_use;
    config->no_freeze = values->no_freeze;
    if (choose_send_ahead(config, values->send_ahead, err)) return err->kind;
    choose_memory(config, values);
    config->blanks = (unsigned)values->blanks;
    config->blank_idle_seconds = values->blank_idle_seconds;
    config->templates = !values->no_templates;
    config->account_concurrency = (unsigned)values->account_concurrency;
    config->scaling_rate = (unsigned)values->scaling_rate;
    config->request_rate = (unsigned)values->request_rate;
    config->network = !values->no_network;
    config->activation_ms = values->activation_ms;
    config->inactive_seconds = values->inactive_seconds;
    config->nearest_runtime = values->nearest_runtime;
    config->test_clock = values->test_clock;
    config->data_dir = -1;
    if (!values->memory) {
        if (values->data)
            snprintf(data, sizeof data, "%s", values->data);
        else if (default_data(data, err))
            return err->kind;
        if (open_data(config, data, err)) return err->kind;
    }
    if (open_runtimes(config, values->runtimes, err) || open_listeners(config, values->listen, err)) return err->kind;
    jail->runtimes_dir_fd = config->runtimes_dir;
    sl_runtimes_probe(config->runtimes_dir);
    return 0;
}

int sl_daemon_serve(int argc, char **argv) {
    struct values values = {.listen = "127.0.0.1:4566",
                            .log_level = "info",
                            .threads = sysconf(_SC_NPROCESSORS_ONLN),
                            .max_instances = 1000,
                            .idle_seconds = 600,
                            .max_age_seconds = 4 * 3600,
                            .inactive_seconds = 14 * 86400,
                            .memory_budget_mb = -1,
                            .blanks = 16,
                            .blank_memory_mb = -1,
                            .blank_idle_seconds = 600,
                            .account_concurrency = 1000,
                            .scaling_rate = 1000};
    if (values.threads > SL_THREADS_MAX) values.threads = SL_THREADS_MAX;
    struct sl_arguments arguments;
    struct sl_error err;
    static struct sl_daemon_config config;
    struct sl_jail_config jail;
    int kind = sl_options_parse(&serve_command, argc, argv, &values, &arguments, &err);
    if (kind == 0 && arguments.help) {
        sl_options_help(&serve_command, stdout);
        return 0;
    }
    if (kind == 0) kind = prepare(&config, &jail, &values, &err);
    if (kind) {
        fprintf(stderr, "sluice serve: %s\n", err.message);
        return kind == SL_E_USAGE ? 2 : 1;
    }
    return sl_daemon_supervise(&config, &jail);
}
