// SPDX-License-Identifier: Apache-2.0
//
// runtimes: see runtimes.h. The table says which identifiers AWS has and which it still accepts; the probe fills in what is
// installed. Only programs under /usr count, because that is what a sandbox sees of the host.
#include "invoke/runtimes.h"

#include <ctype.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum language { PYTHON, NODEJS, OTHER, CUSTOM };

struct row {
    const char *identifier;
    enum language language;
    int major, minor;
    bool deprecated;
};

// Source: "Lambda runtimes", AWS Lambda developer guide, and the Runtime enum of the published model.
static const struct row rows[] = {
    {"nodejs20.x", NODEJS, 20, 0, false},       {"nodejs22.x", NODEJS, 22, 0, false},
    {"nodejs24.x", NODEJS, 24, 0, false},       {"nodejs26.x", NODEJS, 26, 0, false},
    {"python3.10", PYTHON, 3, 10, false},       {"python3.11", PYTHON, 3, 11, false},
    {"python3.12", PYTHON, 3, 12, false},       {"python3.13", PYTHON, 3, 13, false},
    {"python3.14", PYTHON, 3, 14, false},       {"python3.15", PYTHON, 3, 15, false},
    {"provided.al2", CUSTOM, 0, 0, false},      {"provided.al2023", CUSTOM, 0, 0, false},
    {"java8.al2", OTHER, 8, 0, false},          {"java11", OTHER, 11, 0, false},
    {"java17", OTHER, 17, 0, false},            {"java21", OTHER, 21, 0, false},
    {"java25", OTHER, 25, 0, false},            {"dotnet8", OTHER, 8, 0, false},
    {"dotnet10", OTHER, 10, 0, false},          {"ruby3.2", OTHER, 3, 2, false},
    {"ruby3.3", OTHER, 3, 3, false},            {"ruby3.4", OTHER, 3, 4, false},
    {"ruby4.0", OTHER, 4, 0, false},            {"nodejs", NODEJS, 0, 0, true},
    {"nodejs4.3", NODEJS, 4, 0, true},          {"nodejs4.3-edge", NODEJS, 4, 0, true},
    {"nodejs6.10", NODEJS, 6, 0, true},         {"nodejs8.10", NODEJS, 8, 0, true},
    {"nodejs10.x", NODEJS, 10, 0, true},        {"nodejs12.x", NODEJS, 12, 0, true},
    {"nodejs14.x", NODEJS, 14, 0, true},        {"nodejs16.x", NODEJS, 16, 0, true},
    {"nodejs18.x", NODEJS, 18, 0, true},        {"python2.7", PYTHON, 2, 7, true},
    {"python3.6", PYTHON, 3, 6, true},          {"python3.7", PYTHON, 3, 7, true},
    {"python3.8", PYTHON, 3, 8, true},          {"python3.9", PYTHON, 3, 9, true},
    {"java8", OTHER, 8, 0, true},               {"dotnetcore1.0", OTHER, 1, 0, true},
    {"dotnetcore2.0", OTHER, 2, 0, true},       {"dotnetcore2.1", OTHER, 2, 1, true},
    {"dotnetcore3.1", OTHER, 3, 1, true},       {"dotnet6", OTHER, 6, 0, true},
    {"ruby2.5", OTHER, 2, 5, true},             {"ruby2.7", OTHER, 2, 7, true},
    {"go1.x", OTHER, 1, 0, true},               {"provided", CUSTOM, 0, 0, true},
};
enum { ROWS = sizeof rows / sizeof rows[0], CANDIDATES = 24 };

// An interpreter that was found.
static struct found {
    enum language language;
    int major, minor;
    char path[64], version[32];
} found[CANDIDATES];
static unsigned found_count;
static char hints[ROWS][128];

// First line of `path --version`, without what precedes the digits; false when it does not run.
static bool ask_version(const char *path, char *out, size_t cap) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return false;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    char *argv[] = {(char *)path, "--version", NULL};
    pid_t pid;
    bool started = posix_spawn(&pid, path, &actions, NULL, argv, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    ssize_t got = started ? read(ends[0], out, cap - 1) : -1;
    close(ends[0]);
    if (started) waitpid(pid, NULL, 0);
    out[got > 0 ? got : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    size_t skip = strcspn(out, "0123456789");
    memmove(out, out + skip, strlen(out + skip) + 1);
    return out[0] != '\0';
}

static void look(enum language language, const char *path) {
    if (found_count == CANDIDATES || access(path, X_OK)) return;
    struct found *entry = &found[found_count];
    if (!ask_version(path, entry->version, sizeof entry->version)) return;
    snprintf(entry->path, sizeof entry->path, "%s", path);
    entry->language = language;
    char *rest;
    entry->major = (int)strtol(entry->version, &rest, 10);
    entry->minor = *rest == '.' ? (int)strtol(rest + 1, NULL, 10) : 0;
    found_count++;
}

void sl_runtimes_probe(void) {
    found_count = 0;
    char path[64];
    for (int minor = 8; minor <= 15; minor++) {
        unsigned before = found_count;
        snprintf(path, sizeof path, "/usr/bin/python3.%d", minor);
        look(PYTHON, path);
        snprintf(path, sizeof path, "/usr/local/bin/python3.%d", minor);
        if (found_count == before) look(PYTHON, path);
    }
    look(NODEJS, "/usr/bin/node");
    look(NODEJS, "/usr/local/bin/node");
    for (unsigned i = 0; i < ROWS; i++) {
        char *hint = hints[i];
        size_t cap = sizeof hints[i];
        if (rows[i].language == PYTHON) snprintf(hint, cap, "install python%d.%d under /usr", rows[i].major, rows[i].minor);
        else if (rows[i].language == NODEJS) snprintf(hint, cap, "install Node.js %d as /usr/bin/node", rows[i].major);
        else snprintf(hint, cap, "this version of Sluice has no bootstrap for it");
    }
}

// The installed interpreter of that language whose version is closest; ties go to the newer.
static const struct found *nearest(const struct row *row) {
    const struct found *best = NULL;
    int best_distance = 0;
    for (unsigned i = 0; i < found_count; i++) {
        if (found[i].language != row->language) continue;
        int distance = abs((found[i].major - row->major) * 100 + found[i].minor - row->minor);
        // Node's identifiers name the major version only.
        if (row->language == NODEJS) distance = abs(found[i].major - row->major);
        if (best && distance > best_distance) continue;
        best = &found[i];
        best_distance = distance;
    }
    return best;
}

static struct sl_runtime_info describe(unsigned i) {
    const struct row *row = &rows[i];
    struct sl_runtime_info info = {.identifier = row->identifier, .support = SL_RUNTIME_MISSING, .hint = hints[i]};
    const struct found *hit = nearest(row);
    if (hit) {
        bool exact = hit->major == row->major && (row->language == NODEJS || hit->minor == row->minor);
        info.support = exact ? SL_RUNTIME_READY : SL_RUNTIME_NEAREST;
        info.interpreter = hit->path;
        info.found_version = hit->version;
    }
    if (row->language == CUSTOM) info.support = SL_RUNTIME_READY;
    if (row->deprecated) info.support = SL_RUNTIME_DEPRECATED;
    return info;
}

struct sl_runtime_info sl_runtimes_find(struct sl_str identifier) {
    for (unsigned i = 0; i < ROWS; i++) {
        if (sl_str_is(identifier, rows[i].identifier)) return describe(i);
    }
    return (struct sl_runtime_info){.identifier = "", .support = SL_RUNTIME_UNKNOWN};
}

bool sl_runtimes_row(unsigned i, struct sl_runtime_info *ret) {
    if (i >= ROWS) return false;
    *ret = describe(i);
    return true;
}
