// SPDX-License-Identifier: Apache-2.0
//
// runtimes: see runtimes.h. One table says which identifiers AWS has and which it still accepts, another where each
// language's interpreters are looked for; the probe fills in what is installed. Only programs under /usr count, because
// that is what a sandbox sees of the host. A language whose bootstrap must be compiled counts only when that was done.
//
// All `--version` calls run at the same time, so the probe takes as long as the slowest one; JVMs and .NET, which are
// slow to start, are recognised by the files that name their version.
#include "invoke/runtimes.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct row {
    const char *identifier;
    enum sl_language language;
    int major, minor;
    bool deprecated;
};

#define PYTHON SL_LANGUAGE_PYTHON
#define NODEJS SL_LANGUAGE_NODEJS
#define RUBY   SL_LANGUAGE_RUBY
#define JAVA   SL_LANGUAGE_JAVA
#define DOTNET SL_LANGUAGE_DOTNET
#define CUSTOM SL_LANGUAGE_CUSTOM

// Source: "Lambda runtimes", AWS Lambda developer guide, and the Runtime enum of the published model.
static const struct row rows[] = {
    {"nodejs20.x", NODEJS, 20, 0, false},
    {"nodejs22.x", NODEJS, 22, 0, false},
    {"nodejs24.x", NODEJS, 24, 0, false},
    {"nodejs26.x", NODEJS, 26, 0, false},
    {"python3.10", PYTHON, 3, 10, false},
    {"python3.11", PYTHON, 3, 11, false},
    {"python3.12", PYTHON, 3, 12, false},
    {"python3.13", PYTHON, 3, 13, false},
    {"python3.14", PYTHON, 3, 14, false},
    {"python3.15", PYTHON, 3, 15, false},
    {"provided.al2", CUSTOM, 0, 0, false},
    {"provided.al2023", CUSTOM, 0, 0, false},
    {"java8.al2", JAVA, 8, 0, false},
    {"java11", JAVA, 11, 0, false},
    {"java17", JAVA, 17, 0, false},
    {"java21", JAVA, 21, 0, false},
    {"java25", JAVA, 25, 0, false},
    {"dotnet8", DOTNET, 8, 0, false},
    {"dotnet10", DOTNET, 10, 0, false},
    {"ruby3.2", RUBY, 3, 2, false},
    {"ruby3.3", RUBY, 3, 3, false},
    {"ruby3.4", RUBY, 3, 4, false},
    {"ruby4.0", RUBY, 4, 0, false},
    {"nodejs", NODEJS, 0, 0, true},
    {"nodejs4.3", NODEJS, 4, 0, true},
    {"nodejs4.3-edge", NODEJS, 4, 0, true},
    {"nodejs6.10", NODEJS, 6, 0, true},
    {"nodejs8.10", NODEJS, 8, 0, true},
    {"nodejs10.x", NODEJS, 10, 0, true},
    {"nodejs12.x", NODEJS, 12, 0, true},
    {"nodejs14.x", NODEJS, 14, 0, true},
    {"nodejs16.x", NODEJS, 16, 0, true},
    {"nodejs18.x", NODEJS, 18, 0, true},
    {"python2.7", PYTHON, 2, 7, true},
    {"python3.6", PYTHON, 3, 6, true},
    {"python3.7", PYTHON, 3, 7, true},
    {"python3.8", PYTHON, 3, 8, true},
    {"python3.9", PYTHON, 3, 9, true},
    {"java8", JAVA, 8, 0, true},
    {"dotnetcore1.0", DOTNET, 1, 0, true},
    {"dotnetcore2.0", DOTNET, 2, 0, true},
    {"dotnetcore2.1", DOTNET, 2, 1, true},
    {"dotnetcore3.1", DOTNET, 3, 1, true},
    {"dotnet6", DOTNET, 6, 0, true},
    {"ruby2.5", RUBY, 2, 5, true},
    {"ruby2.7", RUBY, 2, 7, true},
    {"go1.x", SL_LANGUAGE_NONE, 1, 0, true},
    {"provided", CUSTOM, 0, 0, true},
};
enum { ROWS = sizeof rows / sizeof rows[0], FOUND_MAX = 32, CANDIDATES_MAX = 48, PATH_CAP = 128, VERSION_CAP = 48 };

struct language {
    const char *package;        // Debian's, when no interpreter is there at all
    const char *before, *after; // what to install for one version: text around its number
    bool major_only;            // identifiers name major versions
    const char *bootstrap;      // a file that the build makes in the runtimes folder, if it had a compiler; or NULL
    const char *compiler;       // Debian's package of that compiler
};

static const struct language languages[SL_LANGUAGES] = {
    [SL_LANGUAGE_PYTHON] = {.package = "python3", .before = "install python", .after = " under /usr"},
    [SL_LANGUAGE_NODEJS] = {.package = "nodejs",
                            .before = "install Node.js ",
                            .after = " as /usr/bin/node",
                            .major_only = true},
    [SL_LANGUAGE_RUBY] = {.package = "ruby", .before = "install ruby", .after = " under /usr"},
    [SL_LANGUAGE_JAVA] = {.package = "default-jre-headless",
                          .before = "install a JRE ",
                          .after = " under /usr/lib/jvm",
                          .major_only = true,
                          .bootstrap = "java/build/sluice-runtime.jar",
                          .compiler = "default-jdk-headless"},
    [SL_LANGUAGE_DOTNET] = {.package = "mono-runtime",
                            .before = "install .NET ",
                            .after = " under /usr/lib/dotnet",
                            .major_only = true,
                            .bootstrap = "dotnet/build/sluice-runtime.exe",
                            .compiler = "mono-mcs"},
};

// An interpreter that was found.
static struct found {
    enum sl_language language;
    int major, minor;
    char path[PATH_CAP], version[VERSION_CAP];
} found[FOUND_MAX];
static unsigned found_count;
static bool built[SL_LANGUAGES];
static char hints[ROWS][160];

// ---- what is found ----

static void note(enum sl_language language, const char *path, const char *version) {
    size_t skip = strcspn(version, "0123456789");
    char *rest;
    int major = (int)strtol(version + skip, &rest, 10);
    int minor = *rest == '.' ? (int)strtol(rest + 1, &rest, 10) : 0;
    // Java 8 calls itself 1.8; of Mono's versions none is a version of .NET.
    if (language == SL_LANGUAGE_JAVA && major == 1) major = minor, minor = 0;
    if (language == SL_LANGUAGE_DOTNET && strstr(path, "mono")) major = 0, minor = 0;
    for (unsigned i = 0; i < found_count; i++) {
        if (found[i].language == language && found[i].major == major && found[i].minor == minor) return;
    }
    if (found_count == FOUND_MAX || !version[skip]) return;
    struct found *entry = &found[found_count++];
    *entry = (struct found){.language = language, .major = major, .minor = minor};
    snprintf(entry->path, sizeof entry->path, "%s", path);
    snprintf(entry->version, sizeof entry->version, "%.*s", (int)strspn(version + skip, "0123456789."), version + skip);
}

// ---- programs that say their version ----

struct candidate {
    enum sl_language language;
    struct stat file; // two names of one program are asked once
    char path[PATH_CAP];
    pid_t pid;
    int output;
};
static struct candidate candidates[CANDIDATES_MAX];
static unsigned candidate_count;

// Starts `path --version`; the answer is read later, by collect.
static void ask(enum sl_language language, const char *path) {
    struct candidate *candidate = &candidates[candidate_count];
    if (candidate_count == CANDIDATES_MAX || access(path, X_OK) || stat(path, &candidate->file)) return;
    for (unsigned i = 0; i < candidate_count; i++) {
        const struct stat *other = &candidates[i].file;
        if (other->st_ino == candidate->file.st_ino && other->st_dev == candidate->file.st_dev) return;
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    char *argv[] = {(char *)path, "--version", NULL};
    bool started = posix_spawn(&candidate->pid, path, &actions, NULL, argv, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (!started) {
        close(ends[0]);
        return;
    }
    candidate->language = language;
    candidate->output = ends[0];
    snprintf(candidate->path, sizeof candidate->path, "%s", path);
    candidate_count++;
}

// First lines, in the order of asking: the first place of a version wins.
static void collect(void) {
    for (unsigned i = 0; i < candidate_count; i++) {
        struct candidate *candidate = &candidates[i];
        char text[256];
        size_t len = 0;
        ssize_t got;
        while (len < sizeof text - 1 && (got = read(candidate->output, text + len, sizeof text - 1 - len)) > 0)
            len += (size_t)got;
        text[len] = '\0';
        text[strcspn(text, "\n")] = '\0';
        close(candidate->output);
        int status;
        if (waitpid(candidate->pid, &status, 0) == candidate->pid && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
            note(candidate->language, candidate->path, text);
        }
    }
    candidate_count = 0;
}

// /usr/bin/NAME3.x and the same in /usr/local.
static void ask_minors(enum sl_language language, const char *name, int from, int to) {
    static const char *const folders[] = {"/usr/bin", "/usr/local/bin"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        for (int minor = from; minor <= to; minor++) {
            char path[PATH_CAP];
            snprintf(path, sizeof path, "%s/%s3.%d", folders[i], name, minor);
            ask(language, path);
        }
    }
}

// ---- programs whose version is written beside them ----

// JAVA_VERSION="17.0.15" in the `release` file of a JDK's or JRE's folder.
static void look_java(const char *home) {
    char path[PATH_CAP], text[4096];
    if (snprintf(path, sizeof path, "%s/release", home) >= (int)sizeof path) return;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    const char *version = strstr(text, "JAVA_VERSION=\"");
    if (!version) return;
    static const char *const places[] = {"bin/java", "jre/bin/java"};
    for (size_t i = 0; i < 2; i++) {
        if (snprintf(path, sizeof path, "%s/%s", home, places[i]) < (int)sizeof path && access(path, X_OK) == 0) {
            note(SL_LANGUAGE_JAVA, path, version + strlen("JAVA_VERSION=\""));
            return;
        }
    }
}

static void look_dotnet(const char *root, const char *version) {
    char path[PATH_CAP];
    if (snprintf(path, sizeof path, "%s/dotnet", root) < (int)sizeof path && access(path, X_OK) == 0) {
        note(SL_LANGUAGE_DOTNET, path, version);
    }
}

// Calls look(argument, name) for each real folder inside; links are other names of those.
static void each_folder(const char *parent, void (*look)(const char *, const char *), const char *argument) {
    DIR *dir = opendir(parent);
    if (!dir) return;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.' && entry->d_type == DT_DIR) look(argument, entry->d_name);
    }
    closedir(dir);
}

static void look_jvm(const char *parent, const char *name) {
    char home[PATH_CAP];
    if (snprintf(home, sizeof home, "%s/%s", parent, name) < (int)sizeof home) look_java(home);
}

static void probe_java(void) {
    each_folder("/usr/lib/jvm", look_jvm, "/usr/lib/jvm");
    // Installed elsewhere: two levels above the program that /usr/bin/java really is.
    char path[PATH_MAX];
    if (!realpath("/usr/bin/java", path) || strncmp(path, "/usr/", 5) != 0) return;
    for (int i = 0; i < 2 && strrchr(path, '/') > path; i++) *strrchr(path, '/') = '\0';
    look_java(path);
}

static void probe_dotnet(void) {
    static const char *const roots[] = {"/usr/lib/dotnet", "/usr/share/dotnet", "/usr/lib64/dotnet",
                                        "/usr/local/share/dotnet"};
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        char versions[PATH_CAP];
        snprintf(versions, sizeof versions, "%s/shared/Microsoft.NETCore.App", roots[i]);
        each_folder(versions, look_dotnet, roots[i]);
    }
}

// ---- the probe ----

static void write_hint(unsigned i) {
    const struct row *row = &rows[i];
    const struct language *language = &languages[row->language];
    char *hint = hints[i];
    size_t cap = sizeof hints[i];
    bool any = false;
    for (unsigned k = 0; k < found_count; k++) any = any || found[k].language == row->language;
    if (!language->package) {
        snprintf(hint, cap, "no bootstrap runs it; current runtimes are listed by `sluice doctor`");
    } else if (!any) {
        snprintf(hint, cap, "apt-get install %s", language->package);
    } else if (!built[row->language]) {
        snprintf(hint, cap, "its bootstrap is not built: apt-get install %s, then build Sluice again",
                 language->compiler);
    } else {
        char version[24];
        if (language->major_only)
            snprintf(version, sizeof version, "%d", row->major);
        else
            snprintf(version, sizeof version, "%d.%d", row->major, row->minor);
        snprintf(hint, cap, "%s%s%s, or serve with --nearest-runtime", language->before, version, language->after);
    }
}

void sl_runtimes_probe(int runtimes_dir) {
    found_count = 0;
    ask_minors(SL_LANGUAGE_PYTHON, "python", 8, 15);
    ask_minors(SL_LANGUAGE_RUBY, "ruby", 1, 5);
    ask(SL_LANGUAGE_NODEJS, "/usr/bin/node");
    ask(SL_LANGUAGE_NODEJS, "/usr/local/bin/node");
    ask(SL_LANGUAGE_RUBY, "/usr/bin/ruby");
    ask(SL_LANGUAGE_RUBY, "/usr/local/bin/ruby");
    ask(SL_LANGUAGE_DOTNET, "/usr/bin/mono");
    probe_java();
    probe_dotnet();
    collect();
    for (int i = 0; i < SL_LANGUAGES; i++) {
        const char *bootstrap = languages[i].bootstrap;
        built[i] = !bootstrap || runtimes_dir < 0 || faccessat(runtimes_dir, bootstrap, R_OK, 0) == 0;
    }
    for (unsigned i = 0; i < ROWS; i++) write_hint(i);
}

// The installed interpreter of that language whose version is closest; ties go to the newer.
static const struct found *nearest(const struct row *row) {
    const struct found *best = NULL;
    int best_distance = 0;
    for (unsigned i = 0; i < found_count && built[row->language]; i++) {
        const struct found *entry = &found[i];
        if (entry->language != row->language) continue;
        int distance = languages[row->language].major_only
                           ? abs(entry->major - row->major)
                           : abs((entry->major - row->major) * 100 + entry->minor - row->minor);
        bool newer =
            best && (entry->major > best->major || (entry->major == best->major && entry->minor > best->minor));
        if (best && (distance > best_distance || (distance == best_distance && !newer))) continue;
        best = entry;
        best_distance = distance;
    }
    return best;
}

static struct sl_runtime_info describe(unsigned i) {
    const struct row *row = &rows[i];
    struct sl_runtime_info info = {.identifier = row->identifier,
                                   .support = SL_RUNTIME_MISSING,
                                   .hint = hints[i],
                                   .language = row->language,
                                   .major = row->major,
                                   .minor = row->minor};
    const struct found *hit = nearest(row);
    if (hit) {
        bool exact = hit->major == row->major && (languages[row->language].major_only || hit->minor == row->minor);
        info.support = exact ? SL_RUNTIME_READY : SL_RUNTIME_NEAREST;
        info.interpreter = hit->path;
        info.found_version = hit->version;
    }
    if (row->language == SL_LANGUAGE_CUSTOM) info.support = SL_RUNTIME_READY;
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
