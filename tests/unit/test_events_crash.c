// SPDX-License-Identifier: Apache-2.0
//
// events: what the queue accepted survives kill -9 and power cuts under load, and the invariants of decide.h hold over
// random schedules of them.
//
// A child runs the real queue on a real store. Functions are simulated: they take a random time and succeed, fail or
// are throttled at random; time runs fast. The child is killed at a random moment; every second time the power is cut
// as well: all that was written and not synced is taken back, except for a random part of it, as a disk may. The next
// child goes on with what is there. The last one runs until nothing is left.
//
// What happened is counted in memory that parent and children share, which no crash touches. In the end every
// acknowledged event was executed to success, or its letter is there exactly once, or it is a dead event (I1, I2); and
// none was executed more often than its attempts and the crashes allow (I3).
//
// The file layer: the calls of the C library that SQLite writes with are replaced here. They write, and note what was
// there before; a sync forgets the notes of its file. A truncation counts as synced.
//
// SL_CRASH_ROUNDS says how many rounds (default 30); bench/crash/run makes 1,000 of them.
#include "store_fixture.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "events/queue.h"
#include "invoke/alias.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    ROUNDS = 30,
    MOST_EVENTS = 1 << 20,
    IN_FLIGHT = 8, // accepts at once
    BURIED = 20,   // each such event has no destination: few, because the table of dead events is bounded
    MAX_RUNNING = 16,
    NOTES_MAX = 96 * 1024 * 1024,
};

// One event of the load, by its number.
struct count {
    atomic_uchar acknowledged, executed, succeeded;
};

// What was there before a write that is not synced.
struct note {
    ino_t file;
    off_t at;
    size_t length, before; // of the write; how much of it was within the file
};

static struct shared {
    atomic_uint next; // number of the next event
    atomic_uint acknowledged, executed, refused;
    _Atomic int64_t clock_ms; // how far the clock was moved
    atomic_bool noting;
    atomic_size_t noted;
    struct count counts[MOST_EVENTS];
    char notes[NOTES_MAX]; // struct note, new bytes, old bytes; again
} * shared;

// ---- the file layer -------------------------------------------------------------------------------------------------

static ssize_t real_pwrite(int fd, const void *bytes, size_t length, off_t at) {
    return syscall(SYS_pwrite64, fd, bytes, length, at);
}

static ssize_t noted_write(int fd, const void *bytes, size_t length, off_t at) {
    struct stat is;
    struct note note = {.at = at, .length = length};
    if (!shared || !atomic_load(&shared->noting) || fstat(fd, &is) || !S_ISREG(is.st_mode))
        return real_pwrite(fd, bytes, length, at);
    size_t place = atomic_load(&shared->noted), need = sizeof note + 2 * length;
    if (place + need > NOTES_MAX) _exit(7);
    char *to = shared->notes + place;
    ssize_t before = pread(fd, to + sizeof note + length, length, at);
    note.file = is.st_ino;
    note.before = before > 0 ? (size_t)before : 0;
    memcpy(to, &note, sizeof note);
    memcpy(to + sizeof note, bytes, length);
    atomic_store(&shared->noted, place + need); // before the write: undoing one that was not made does no harm
    return real_pwrite(fd, bytes, length, at);
}

// With 64-bit offsets the first is named pwrite64.
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return noted_write(fd, bytes, length, at); }
ssize_t plain_pwrite(int fd, const void *bytes, size_t length, off_t at) __asm__("pwrite");
ssize_t plain_pwrite(int fd, const void *bytes, size_t length, off_t at) { return noted_write(fd, bytes, length, at); }

static size_t size_of(const struct note *note) { return sizeof *note + 2 * note->length; }

// The file's writes are on the disk now.
static void forget(ino_t file) {
    size_t from = 0, to = 0, end = atomic_load(&shared->noted);
    struct note note;
    for (size_t size; from < end; from += size) {
        memcpy(&note, shared->notes + from, sizeof note);
        size = size_of(&note);
        if (note.file == file) continue;
        memmove(shared->notes + to, shared->notes + from, size);
        to += size;
    }
    atomic_store(&shared->noted, to);
}

static int synced(int fd) {
    struct stat is;
    // No real sync: the page cache survives kill -9, and what a power cut would take is taken back by hand.
    if (shared && atomic_load(&shared->noting) && fstat(fd, &is) == 0) forget(is.st_ino);
    return 0;
}

int fsync(int fd) { return synced(fd); }
int fdatasync(int fd) { return synced(fd); }

static void undo(int fd, size_t place, const struct note *note) {
    const char *old = shared->notes + place + sizeof *note + note->length;
    if (note->before) assert_int_equal(real_pwrite(fd, old, note->before, note->at), note->before);
    struct stat is;
    assert_int_equal(fstat(fd, &is), 0);
    // Past the old end: the file was shorter.
    if (note->before < note->length && is.st_size == note->at + (off_t)note->length)
        assert_int_equal(ftruncate(fd, note->at + (off_t)note->before), 0);
}

static unsigned below(unsigned limit) {
    uint32_t random;
    sl_random_bytes(&random, sizeof random);
    return random % limit;
}

// Takes back every write that was not synced, then lets a random part of them happen after all.
static void cut_power(int dir, const char *name) {
    static size_t places[1 << 20];
    size_t count = 0, end = atomic_load(&shared->noted);
    struct stat is;
    struct note note;
    int fd = openat(dir, name, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    assert_int_equal(fstat(fd, &is), 0);
    for (size_t at = 0; at < end; at += size_of(&note)) {
        memcpy(&note, shared->notes + at, sizeof note);
        if (note.file == is.st_ino && count < sizeof places / sizeof places[0]) places[count++] = at;
    }
    for (size_t i = count; i-- > 0;) {
        memcpy(&note, shared->notes + places[i], sizeof note);
        undo(fd, places[i], &note);
    }
    unsigned part = below(3); // none, half, or nearly all of them
    for (size_t i = 0; i < count; i++) {
        memcpy(&note, shared->notes + places[i], sizeof note);
        bool kept = part == 1 ? below(2) : part == 2 ? below(8) > 0 : false;
        if (kept) (void)real_pwrite(fd, shared->notes + places[i] + sizeof note, note.length, note.at);
    }
    close(fd);
}

// ---- functions ------------------------------------------------------------------------------------------------------

// f has a destination for failures, g has none. The queue asks for them here instead of in invoke/.
static const struct sl_function functions[] = {
    {.name = SL_STR_INIT("f"), .reserved_concurrency = -1, .on_failure = SL_STR_INIT("arn:aws:sqs:r:0:letters")},
    {.name = SL_STR_INIT("g"), .reserved_concurrency = -1},
};

const struct sl_function *sl_function_find(struct sl_invoker *invoker, struct sl_str account, struct sl_str region,
                                           struct sl_str name, struct sl_str version) {
    (void)invoker, (void)account, (void)region, (void)version;
    return &functions[sl_str_is(name, "g")];
}

const struct sl_function *sl_callable_find(struct sl_invoker *invoker, struct sl_str account, struct sl_str region,
                                           struct sl_str name, struct sl_str qualifier) {
    return sl_function_find(invoker, account, region, name, qualifier);
}

struct sl_str sl_alias_resolve(struct sl_arena *arena, struct sl_str account, struct sl_str region, struct sl_str name,
                               struct sl_str qualifier) {
    (void)arena, (void)account, (void)region, (void)name;
    return qualifier;
}

struct running {
    struct sl_timer timer;
    struct sl_invocation *invocation;
    struct count *count;
};
static unsigned running;

static void end_of_function(struct sl_timer *timer) {
    struct running *function = SL_CONTAINER(timer, struct running, timer);
    struct sl_invocation *invocation = function->invocation;
    bool good = below(100) < 60;
    struct sl_invocation_result result = {
        .outcome = good ? SL_INVOCATION_OK : SL_INVOCATION_ERROR,
        .payload = good ? SL_STR("{}") : SL_STR("{\"errorMessage\":\"on purpose\"}"),
        .executed_version = SL_STR("$LATEST"),
    };
    if (good) atomic_fetch_add(&function->count->succeeded, 1);
    running--;
    free(function);
    invocation->done(invocation, &result);
}

void sl_invoke(struct sl_invoker *invoker, struct sl_invocation *invocation) {
    (void)invoker;
    uint64_t number = 0;
    if (!sl_str_to_u64(invocation->payload, &number) || number >= MOST_EVENTS) _exit(8);
    if (below(100) < 10) {
        struct sl_error throttled = {.kind = SL_E_THROTTLED};
        const struct sl_invocation_result result = {.outcome = SL_INVOCATION_REFUSED, .error = &throttled};
        atomic_fetch_add(&shared->refused, 1);
        invocation->done(invocation, &result);
        return;
    }
    struct running *function = calloc(1, sizeof *function);
    if (!function || ++running > MAX_RUNNING) _exit(9);
    function->invocation = invocation;
    function->count = &shared->counts[number];
    atomic_fetch_add(&function->count->executed, 1);
    atomic_fetch_add(&shared->executed, 1);
    sl_timer_start(sl_loop_current(), &function->timer, below(4), end_of_function);
}

// A letter is a document that counts how often it was delivered.
static int deliver(void *user, struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_event_letter *letter,
                   int64_t now_ms, int64_t *ret_token, struct sl_error *err) {
    (void)user, (void)now_ms, (void)ret_token;
    struct sl_json *document = NULL, *record;
    if (sl_json_parse(arena, letter->body, &record, err)) return err->kind;
    const struct sl_json *number = sl_json_get(record, "requestPayload");
    const struct sl_key key = {
        .kind = "letter", .account = SL_STR(""), .region = SL_STR(""), .parent = SL_STR(""), .id = number->text};
    int result = sl_store_get(tx, arena, &key, &document, err);
    if (result && result != SL_E_NOT_FOUND) return result;
    int64_t times = result ? 0 : sl_json_int(document, "times", 0);
    document = sl_json_new_object(arena);
    sl_json_put_int(arena, document, "times", times + 1);
    return sl_store_put(tx, &key, document, err);
}

// ---- the child ------------------------------------------------------------------------------------------------------

static struct child {
    struct sl_store *store;
    struct sl_loop *loop;
    struct sl_event_queue *queue;
    struct sl_timer clock, load;
    struct sl_mail start;
    struct sl_store_job look;
    unsigned in_flight;
    bool last, empty;
} child;

struct sent {
    unsigned number;
    char payload[16];
};

static void accepted(void *user, int result, const struct sl_error *err) {
    struct sent *sent = user;
    (void)err;
    if (result) _exit(10);
    atomic_store(&shared->counts[sent->number].acknowledged, 1);
    atomic_fetch_add(&shared->acknowledged, 1);
    child.in_flight--;
    free(sent);
}

static void send_more(struct sl_timer *timer) {
    struct sl_error err;
    while (child.in_flight < IN_FLIGHT) {
        struct sent *sent = calloc(1, sizeof *sent);
        sent->number = atomic_fetch_add(&shared->next, 1);
        if (sent->number >= MOST_EVENTS) _exit(11);
        snprintf(sent->payload, sizeof sent->payload, "%u", sent->number);
        struct sl_event event = {.function = sent->number % BURIED ? SL_STR("arn:aws:lambda:r:0:function:f")
                                                                   : SL_STR("arn:aws:lambda:r:0:function:g"),
                                 .payload = sl_str_of(sent->payload)};
        sl_uuid(event.request_id);
        child.in_flight++;
        if (sl_event_accept(child.queue, &event, accepted, sent, &err)) _exit(12);
    }
    sl_timer_start(child.loop, timer, 2, send_more);
}

static int look_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    (void)job;
    int64_t lane, due_ms;
    int result = sl_event_lane_after(tx, 0, &lane, &due_ms, err);
    child.empty = result == SL_E_NOT_FOUND;
    return child.empty ? 0 : result;
}

static void look_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    (void)job, (void)err;
    if (result) _exit(13);
    if (child.empty) _exit(0);
    child.look.run = NULL;
}

static void move_clock(struct sl_timer *timer) {
    int64_t ms = below(child.last ? 20000 : 4000);
    sl_clock_advance(ms);
    atomic_fetch_add(&shared->clock_ms, ms);
    if (child.last && !child.look.run) {
        child.look = (struct sl_store_job){.run = look_run, .done = look_done, .read_only = true};
        if (sl_store_submit(child.store, &child.look, NULL)) _exit(14);
    }
    sl_timer_start(child.loop, timer, 5, move_clock);
}

static void start(struct sl_mail *mail) {
    (void)mail;
    sl_event_queue_start(child.queue);
    move_clock(&child.clock);
    if (!child.last) send_more(&child.load);
}

static _Noreturn void run_child(int dir, bool last) {
    struct sl_store_config store = {.data_dir = dir, .max_jobs = 4096};
    struct sl_loop_config loop = {0};
    struct sl_error err = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sl_log_set_level(SL_LOG_ERROR); // what is given up is counted
    child = (struct child){.last = last};
    sl_clock_advance(atomic_load(&shared->clock_ms));
    int failed = sl_store_open(&child.store, &store, &err);
    if (!failed) failed = sl_loop_new(&child.loop, &loop, &err);
    struct sl_event_queue_config queue = {
        .store = child.store, .loop = child.loop, .max_running = MAX_RUNNING, .deliver = deliver};
    if (!failed) failed = sl_event_queue_new(&child.queue, &queue, &err);
    if (failed) {
        fprintf(stderr, "%s\n", err.message);
        _exit(2);
    }
    sl_loop_post(child.loop, &child.start, start);
    sl_loop_run(child.loop);
    _exit(15);
}

// ---- the parent -----------------------------------------------------------------------------------------------------

static void nap(void) {
    struct timespec step = {.tv_nsec = 500 * 1000};
    nanosleep(&step, NULL);
}

static void one_round(int dir, bool cut) {
    unsigned target = atomic_load(&shared->acknowledged) + below(200);
    int status = 0;
    atomic_store(&shared->noted, 0);
    atomic_store(&shared->noting, true);
    pid_t pid = fork();
    if (pid == 0) run_child(dir, false);
    assert_true(pid > 0);
    while (atomic_load(&shared->acknowledged) < target && waitpid(pid, &status, WNOHANG) == 0) nap();
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status)) fail_msg("the server ended by itself with %d", WEXITSTATUS(status));
    atomic_store(&shared->noting, false);
    if (!cut) return;
    cut_power(dir, "sluice.db");
    cut_power(dir, "sluice.db-wal");
    unlinkat(dir, "sluice.db-shm", 0); // memory that is mapped: never on the disk
}

static void run_to_the_end(int dir) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) run_child(dir, true);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status)) fail_msg("the last server ended with %d", status);
}

static unsigned char *letters, *dead;

static int note_letter(void *user, const struct sl_key *key, struct sl_str document, struct sl_error *err) {
    (void)user, (void)err;
    uint64_t number = 0;
    assert_true(sl_str_to_u64(key->id, &number) && number < MOST_EVENTS);
    if (!sl_str_is(document, "{\"times\":1}")) fail_msg("letter %d: %.*s", (int)number, SL_FMT(document));
    letters[number]++;
    return 0;
}

static int read_places(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    (void)job;
    struct sl_arena arena;
    unsigned count = 1;
    int64_t after = 0;
    int result = sl_store_each(tx, "letter", note_letter, NULL, err);
    sl_arena_init(&arena, 64 << 20);
    while (!result && count) {
        struct sl_dead_event *events;
        result = sl_dead_load(tx, &arena, after, 500, &events, &count, err);
        for (unsigned i = 0; !result && i < count; i++) {
            uint64_t number = 0;
            assert_true(sl_str_to_u64(events[i].event.payload, &number) && number < MOST_EVENTS);
            dead[number]++;
            after = events[i].event.id;
        }
        sl_arena_reset(&arena);
    }
    sl_arena_free(&arena);
    return result;
}

static void count_up(int dir, int rounds) {
    struct sl_store_config config = {.data_dir = dir, .max_jobs = 10};
    struct sl_store_job look = {.run = read_places, .read_only = true};
    struct sl_store *store;
    struct sl_error err = {0};
    unsigned lost = 0, twice = 0, buried = 0, told = 0;
    letters = calloc(MOST_EVENTS, 1);
    dead = calloc(MOST_EVENTS, 1);
    if (sl_store_open(&store, &config, &err)) fail_msg("%s", err.message);
    if (sl_store_run(store, &look, &err)) fail_msg("%s", err.message);
    sl_store_close(store);
    for (unsigned i = 0; i < atomic_load(&shared->next); i++) {
        const struct count *count = &shared->counts[i];
        unsigned places = letters[i] + dead[i];
        buried += dead[i];
        told += letters[i];
        assert_true(letters[i] <= 1 && dead[i] <= 1);
        // I3; what ran and was not settled when a crash came runs again.
        assert_true(count->executed <= 3 + rounds);
        if (count->succeeded > 1 || (count->succeeded && places)) twice++;
        if (count->acknowledged && !count->succeeded && !places) lost++;
    }
    print_message("%d rounds: %u events acknowledged, %u executions, %u throttled; %u letters, %u dead; %u lost, "
                  "%u executed more than once\n",
                  rounds, shared->acknowledged, shared->executed, shared->refused, told, buried, lost, twice);
    assert_int_equal(lost, 0);
    assert_true(shared->acknowledged > 0 && told > 0 && buried > 0);
    free(letters);
    free(dead);
}

static void nothing_acknowledged_is_lost_by_crashes_and_power_cuts(void **state) {
    (void)state;
    const char *wanted = getenv("SL_CRASH_ROUNDS");
    int rounds = wanted && atoi(wanted) > 0 ? atoi(wanted) : ROUNDS;
    char path[64];
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(shared != MAP_FAILED);
    assert_true(make_temporary(path));
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir >= 0);
    for (int round = 0; round < rounds; round++) {
        one_round(dir, round % 2);
        if (round % 100 == 99) print_message("%d rounds\n", round + 1);
    }
    run_to_the_end(dir);
    count_up(dir, rounds);
    close(dir);
    assert_true(remove_temporary(path));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_acknowledged_is_lost_by_crashes_and_power_cuts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
