// SPDX-License-Identifier: Apache-2.0
//
// extensions: the external extensions of an instance: programs in /opt/extensions that run beside the runtime, in the
// same sandbox ("Using the Lambda Extensions API", Lambda developer guide).
//
//   sandbox made ─► each extension is executed ─► all have registered ─► the runtime is executed ─► ... the init goes
//   on
//
// An extension that ends by itself, however well, ends the environment (Extension.Crash), as one does that cannot be
// executed (Extension.LaunchError) or says that it fails. The runtime is program 0 of the sandbox, extensions are 1 to
// ten; the sandbox outlives the runtime, so that extensions can be told to shut down.
//
// The jail's reports of programs come to loop 0 and travel as letters of their own, which name the sandbox by its id:
// an instance that is gone meanwhile is not found, and one that has moved to another loop is followed.
#include "invoke/internal.h"

#include "base/log.h"
#include "runtime/telemetry.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXTENSIONS_MAX = 10, LOG_READ = 16 * 1024, LOG_READS = 8, KEEP = 4096 };

struct program {
    char name[SL_JAIL_EXTENSION_NAME];
    struct sl_watch log; // fd -1: none
    struct sl_extensions *log_of;
    bool running;
};

struct sl_extensions {
    struct sl_instance *instance;
    unsigned count;
    struct program programs[EXTENSIONS_MAX];
    int main_block;    // until the runtime is executed, -1 then
    bool main_running; // the runtime
    bool started;      // the first one was executed
    bool too_many;
    struct sl_buf half; // the line that is coming, of whichever extension
};

// ---- before the start
// -------------------------------------------------------------------------------------------------

int sl_invoke__extensions_find(struct sl_instance *instance, int layers, struct sl_error *err) {
    char names[EXTENSIONS_MAX + 1][SL_JAIL_EXTENSION_NAME];
    struct sl_error problem;
    if (layers < 0) return 0;
    int count = sl_jail_extensions(layers, names, EXTENSIONS_MAX + 1, &problem);
    bool too_many = count < 0 ? problem.kind == SL_E_LIMIT : count > EXTENSIONS_MAX;
    if (count < 0 && !too_many) return sl_fail(err, problem.kind, "%s", problem.message);
    if (count == 0) return 0;
    struct sl_extensions *extensions = calloc(1, sizeof *extensions);
    if (!extensions) return sl_fail(err, SL_E_NO_MEMORY, "no memory for extensions");
    extensions->instance = instance;
    extensions->main_block = -1;
    extensions->too_many = too_many;
    extensions->count = too_many ? 0 : (unsigned)count;
    sl_buf_init(&extensions->half, SL_LOG_LINE_MAX);
    for (unsigned i = 0; i < extensions->count; i++) {
        memcpy(extensions->programs[i].name, names[i], sizeof names[i]);
        extensions->programs[i].log.fd = -1;
    }
    instance->extensions = extensions;
    return 0;
}

void sl_invoke__extensions_spec(struct sl_instance *instance, struct sl_jail_spec *spec) {
    struct sl_extensions *extensions = instance->extensions;
    if (!extensions) return;
    extensions->main_block = fcntl(spec->block_fd, F_DUPFD_CLOEXEC, 3);
    spec->block_fd = -1;
    spec->programs = extensions->count;
    spec->keep = true;
}

static void log_close(struct program *program) {
    if (program->log.fd < 0) return;
    sl_watch_stop(&program->log);
    close(program->log.fd);
    program->log.fd = -1;
}

void sl_invoke__extensions_free(struct sl_instance *instance) {
    struct sl_extensions *extensions = instance->extensions;
    if (!extensions) return;
    for (unsigned i = 0; i < extensions->count; i++) log_close(&extensions->programs[i]);
    if (extensions->main_block >= 0) close(extensions->main_block);
    sl_buf_free(&extensions->half);
    free(extensions);
    instance->extensions = NULL;
}

// ---- what they print
// --------------------------------------------------------------------------------------------------

static void take_line(struct sl_instance *instance, struct sl_str line) {
    sl_invoke__own_line(instance);
    if (instance->log.len + line.len > SL_LOG_LINE_MAX) sl_invoke__log_flush(instance);
    sl_buf_str(&instance->log, line);
    sl_buf_char(&instance->log, '\n');
}

static void take_bytes(struct sl_extensions *extensions, struct sl_str bytes) {
    struct sl_buf *half = &extensions->half;
    struct sl_instance *instance = extensions->instance;
    sl_runtime_telemetry_lines(&instance->runtime, SL_EVENT_EXTENSION_LINE, bytes, false);
    struct sl_str line;
    while (bytes.len) {
        ptrdiff_t end = sl_str_chr(bytes, '\n', 0);
        line = sl_str_sub(bytes, 0, end < 0 ? bytes.len : (size_t)end);
        bytes = sl_str_sub(bytes, line.len + (end < 0 ? 0 : 1), bytes.len);
        bool fits = half->len + line.len < SL_LOG_LINE_MAX;
        if (fits) sl_buf_str(half, line);
        if (end < 0 && fits) return;
        take_line(instance, sl_buf_view(half));
        sl_buf_clear(half, KEEP);
    }
}

static void read_log(struct sl_extensions *extensions, struct program *program) {
    char bytes[LOG_READ];
    for (int i = 0; i < LOG_READS && program->log.fd >= 0; i++) {
        ssize_t got = read(program->log.fd, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR) continue;
        if (got == 0) log_close(program); // no writer is left
        if (got <= 0) return;
        take_bytes(extensions, sl_str_n(bytes, (size_t)got));
    }
}

static void log_ready(struct sl_watch *watch, uint32_t events) {
    (void)events;
    struct program *program = SL_CONTAINER(watch, struct program, log);
    struct sl_extensions *extensions = program->log_of;
    read_log(extensions, program);
    if (!extensions->instance->serving) sl_invoke__log_flush(extensions->instance);
}

void sl_invoke__extensions_drain(struct sl_instance *instance) {
    struct sl_extensions *extensions = instance->extensions;
    for (unsigned i = 0; extensions && i < extensions->count; i++) read_log(extensions, &extensions->programs[i]);
}

void sl_invoke__extensions_detach(struct sl_instance *instance) {
    struct sl_extensions *extensions = instance->extensions;
    for (unsigned i = 0; extensions && i < extensions->count; i++) sl_watch_stop(&extensions->programs[i].log);
}

int sl_invoke__extensions_attach(struct sl_instance *instance, struct sl_error *err) {
    struct sl_extensions *extensions = instance->extensions;
    for (unsigned i = 0; extensions && i < extensions->count; i++) {
        struct sl_watch *log = &extensions->programs[i].log;
        if (log->fd >= 0 && sl_watch_start(instance->loop, log, log->fd, EPOLLIN, log_ready, err)) return err->kind;
    }
    return 0;
}

// ---- failing
// ----------------------------------------------------------------------------------------------------------

void sl_invoke__fail(struct sl_instance *instance, const char *type, const char *text) {
    if (instance->state == SL_INSTANCE_STOPPING) return;
    instance->failed = true;
    if (!instance->seen_ready && !instance->init_failed) {
        instance->init_failed = true;
        snprintf(instance->init_error_type, sizeof instance->init_error_type, "%s", type);
        sl_invoke__error_document(&instance->init_error, type, instance->request_id, text);
    } else if (instance->serving) {
        sl_invoke__drain_log(instance);
        sl_invoke__conclude_error(instance, type, text, false);
    } else if (instance->outcome.late) {
        sl_invoke__set_status(instance, "error", type);
        sl_invoke__log_failure(instance, type, text);
        sl_invoke__finish_late(instance);
    } else if (instance->state == SL_INSTANCE_IDLE) {
        sl_invoke__pool_leave_idle(instance);
    }
    sl_invoke__instance_stop(instance);
}

static void not_executed(struct sl_instance *instance, const char *name, int error) {
    char text[SL_JAIL_EXTENSION_NAME + 128];
    snprintf(text, sizeof text, "fork/exec /opt/extensions/%s: %s", name, sl_invoke__go_error(error));
    sl_runtime_extension_ended(&instance->runtime, sl_str_of(name), SL_EXTENSION_LAUNCH_ERROR,
                               error == EACCES ? "PermissionDenied" : "UnknownError");
    sl_invoke__fail(instance, "Extension.LaunchError", text);
}

// ---- executing
// --------------------------------------------------------------------------------------------------------

static int execute(struct sl_instance *instance, unsigned i, struct sl_error *err) {
    const struct program *program = &instance->extensions->programs[i];
    struct sl_invoke__launch launch = sl_invoke__launch_of(instance);
    struct sl_jail_program what = {.own_log = true};
    int kind = sl_runtime_expect(&instance->runtime, sl_str_of(program->name), err);
    if (kind == 0) kind = sl_invoke__launch_extension(&launch, program->name, &what.block_fd, err);
    if (kind) return kind;
    kind = sl_jail_exec(instance->invoker->config.jail, instance->id, i + 1, &what, err);
    close(what.block_fd);
    return kind;
}

void sl_invoke__extensions_start(struct sl_instance *instance) {
    struct sl_extensions *extensions = instance->extensions;
    struct sl_error err;
    if (!extensions) return;
    extensions->started = true;
    if (extensions->too_many) {
        sl_invoke__fail(instance, "Extension.LaunchError", "ErrTooManyExtensions");
        return;
    }
    for (unsigned i = 0; i < extensions->count; i++) {
        if (execute(instance, i, &err) == 0) continue;
        sl_log_warn("invoke", "extension %s of %.*s: %s", extensions->programs[i].name,
                    SL_FMT(instance->pool->spec.name), err.message);
        not_executed(instance, extensions->programs[i].name, EIO);
        return;
    }
}

void sl_invoke__extensions_registered(struct sl_instance *instance) {
    struct sl_extensions *extensions = instance->extensions;
    struct sl_error err;
    if (!extensions || extensions->main_block < 0 || instance->state == SL_INSTANCE_STOPPING) return;
    struct sl_jail_program what = {.block_fd = extensions->main_block};
    int kind = sl_jail_exec(instance->invoker->config.jail, instance->id, SL_JAIL_MAIN, &what, &err);
    close(extensions->main_block);
    extensions->main_block = -1;
    if (kind) sl_invoke__fail(instance, "Sandbox.Failure", err.message);
}

bool sl_invoke__main_runs(const struct sl_instance *instance) {
    return !instance->extensions || instance->extensions->main_running;
}

// The extensions that are told to shut down and have not ended; the others are killed.
unsigned sl_invoke__extensions_ask(struct sl_instance *instance) {
    struct sl_extensions *extensions = instance->extensions;
    struct sl_error err;
    unsigned asked = 0;
    for (unsigned i = 0; extensions && i < extensions->count; i++) {
        struct program *program = &extensions->programs[i];
        if (!program->running) continue;
        if (sl_runtime_wants_shutdown(&instance->runtime, sl_str_of(program->name)))
            asked++;
        else
            (void)sl_jail_signal(instance->invoker->config.jail, instance->id, i + 1, SIGKILL, &err);
    }
    return asked;
}

unsigned sl_invoke__extensions_left(const struct sl_instance *instance) {
    const struct sl_extensions *extensions = instance->extensions;
    unsigned left = 0;
    for (unsigned i = 0; extensions && i < extensions->count; i++) left += extensions->programs[i].running;
    return left;
}

// ---- the jail's reports
// -----------------------------------------------------------------------------------------------

// Go's words for the end of a process, as AWS passes them on.
static void exit_words(int status, char *out, size_t cap) {
    char text[96];
    struct sl_jail_event ended = {.status = status};
    static const char prefix[] = "Runtime exited with error: ";
    (void)sl_invoke__exit_text(&ended, text);
    bool plain = strncmp(text, prefix, sizeof prefix - 1) == 0;
    snprintf(out, cap, "%s", plain ? text + sizeof prefix - 1 : "exit code 0");
}

static void main_ended(struct sl_instance *instance, const struct sl_jail_event *event) {
    instance->extensions->main_running = false;
    if (instance->state == SL_INSTANCE_STOPPING) {
        sl_invoke__shutdown_progress(instance);
        return;
    }
    // From here it is as if the sandbox had ended so; only that the extensions are told.
    instance->ended = *event;
    instance->ended.kind = event->kind == SL_JAIL_PROGRAM_FAILED ? SL_JAIL_FAILED : SL_JAIL_EXITED;
    instance->ended.memory_peak = sl_jail_memory_peak(instance->memory_fd);
    instance->failed = true;
    if (instance->state == SL_INSTANCE_IDLE) sl_invoke__pool_leave_idle(instance);
    instance->state = SL_INSTANCE_BUSY; // until it is stopped
    sl_invoke__settle(instance);
    sl_invoke__instance_stop(instance);
}

static void extension_ended(struct sl_instance *instance, struct program *program, int status) {
    bool stopping = instance->state == SL_INSTANCE_STOPPING;
    bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    program->running = false;
    read_log(instance->extensions, program);
    sl_runtime_extension_ended(&instance->runtime, sl_str_of(program->name),
                               stopping && well ? SL_EXTENSION_EXITED : SL_EXTENSION_CRASHED,
                               stopping ? NULL : "Extension.Crash");
    if (stopping) {
        sl_invoke__shutdown_progress(instance);
        return;
    }
    char text[96];
    exit_words(status, text, sizeof text);
    sl_invoke__fail(instance, "Extension.Crash", text);
}

static void handle(struct sl_instance *instance, struct sl_jail_event *event) {
    struct sl_extensions *extensions = instance->extensions;
    struct sl_error err;
    if (event->kind == SL_JAIL_CONNECTOR) {
        sl_runtime_telemetry_socket(&instance->runtime, event->connector_fd);
        return;
    }
    struct program *program = extensions && event->program > 0 && event->program <= extensions->count
                                  ? &extensions->programs[event->program - 1]
                                  : NULL;
    if (event->kind == SL_JAIL_PROGRAM_STARTED && program) {
        program->running = true;
        program->log_of = extensions;
        program->log.fd = event->log_fd;
        if (event->log_fd >= 0 &&
            sl_watch_start(instance->loop, &program->log, event->log_fd, EPOLLIN, log_ready, &err))
            sl_log_warn("invoke", "log of extension %s: %s", program->name, err.message);
        return;
    }
    if (event->log_fd >= 0) close(event->log_fd);
    if (event->kind == SL_JAIL_PROGRAM_STARTED) {
        if (extensions && event->program == SL_JAIL_MAIN) extensions->main_running = true;
    } else if (extensions && event->program == SL_JAIL_MAIN) {
        main_ended(instance, event);
    } else if (program && event->kind == SL_JAIL_PROGRAM_FAILED) {
        not_executed(instance, program->name, event->error);
    } else if (program) {
        extension_ended(instance, program, event->status);
    }
}

struct letter {
    struct sl_mail mail;
    struct sl_invoker *invoker;
    struct sl_jail_event event;
};

void sl_invoke__close_program(const struct sl_jail_event *event) {
    bool connector = event->kind == SL_JAIL_CONNECTOR, program = event->kind == SL_JAIL_PROGRAM_STARTED;
    if (program && event->log_fd >= 0) close(event->log_fd);
    if (connector && event->connector_fd >= 0) close(event->connector_fd);
}

static void deliver(struct sl_mail *mail) {
    struct letter *letter = SL_CONTAINER(mail, struct letter, mail);
    struct sl_loop *owner;
    bool moving;
    struct sl_instance *instance = sl_invoke__slot_owner(letter->invoker, letter->event.id, &owner, &moving);
    if (instance && (owner != sl_loop_current() || moving)) {
        sl_loop_post(owner, &letter->mail, deliver);
        return;
    }
    if (instance)
        handle(instance, &letter->event);
    else
        sl_invoke__close_program(&letter->event);
    free(letter);
}

void sl_invoke__report_program(struct sl_invoker *invoker, const struct sl_jail_event *event) {
    struct letter *letter = malloc(sizeof *letter);
    if (!letter) { // its sandbox can no longer be followed
        struct sl_error err;
        sl_invoke__close_program(event);
        (void)sl_jail_stop(invoker->config.jail, event->id, &err);
        return;
    }
    *letter = (struct letter){.invoker = invoker, .event = *event};
    deliver(&letter->mail);
}
