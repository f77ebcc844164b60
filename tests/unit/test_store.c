// SPDX-License-Identifier: Apache-2.0
//
// store: documents, and what a job may rely on: undone when it failed, durable when it was answered, refused
// when the disk is full. fsync and fdatasync are replaced here by ones that count and that can fail; SQLite calls them
// too.
#include "store_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static atomic_int syncs;
static atomic_bool sync_fails;

static int counted_sync(long call, int fd) {
    atomic_fetch_add(&syncs, 1);
    if (atomic_load(&sync_fails)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(call, fd);
}

int fsync(int fd) { return counted_sync(SYS_fsync, fd); }
int fdatasync(int fd) { return counted_sync(SYS_fdatasync, fd); }

// A job that keeps the storage thread until it is let go: what is submitted meanwhile becomes one batch.
struct gate {
    struct step step;
    sem_t entered, open;
};

static int wait_at_gate(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f, (void)tx, (void)err;
    struct gate *gate = user;
    sem_post(&gate->entered);
    sem_wait(&gate->open);
    return 0;
}

static void close_gate(struct fixture *f, struct gate *gate) {
    sem_init(&gate->entered, 0, 0);
    sem_init(&gate->open, 0, 0);
    prepare(&gate->step, f, wait_at_gate, gate);
    gate->step.job.read_only = true;
    submit(f, &gate->step);
    sem_wait(&gate->entered);
}

static void open_gate(struct gate *gate) {
    sem_post(&gate->open);
    sem_wait(&gate->step.answered);
}

// --- documents ---

static struct sl_key key_of(const char *parent, const char *id) {
    return (struct sl_key){"function", SL_STR("000000000000"), SL_STR("eu-west-1"), sl_str_of(parent), sl_str_of(id)};
}

static int put_text(struct sl_store_tx *tx, const struct sl_key *key, const char *text, struct sl_error *err) {
    struct sl_arena arena;
    sl_arena_init(&arena, 1 << 20);
    struct sl_json *tree;
    int result = sl_json_parse(&arena, sl_str_of(text), &tree, err);
    if (!result) result = sl_store_put(tx, key, tree, err);
    sl_arena_free(&arena);
    return result;
}

static int put_by_id(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f;
    struct sl_key key = key_of("", user);
    return put_text(tx, &key, "{\"n\":1.50,\"list\":[true,null]}", err);
}

static int is_there(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f, (void)err;
    struct sl_key key = key_of("", user);
    return sl_store_has(tx, &key) ? 0 : SL_E_NOT_FOUND;
}

static int reads_back(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    struct sl_key key = key_of("", user);
    struct sl_json *tree = NULL;
    int result = sl_store_get(tx, &f->arena, &key, &tree, err);
    if (result) return result;
    struct sl_buf out;
    sl_buf_init(&out, 1000);
    sl_json_write(&out, tree);
    bool same = sl_str_is(sl_buf_view(&out), "{\"n\":1.50,\"list\":[true,null]}");
    sl_buf_free(&out);
    return same ? 0 : sl_fail(err, SL_E_INTERNAL, "another document");
}

static int replace_and_read(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)user;
    struct sl_key key = key_of("", "f");
    struct sl_json *tree = NULL;
    int result = put_text(tx, &key, "{\"v\":2}", err);
    if (!result) result = sl_store_get(tx, &f->arena, &key, &tree, err);
    return result ? result : sl_json_int(tree, "v", 0) == 2 ? 0 : SL_E_INTERNAL;
}

static void a_document_returns_as_it_was_put_and_can_be_replaced(void **state) {
    struct fixture *f = *state;
    assert_int_equal(run(f, put_by_id, "f"), 0);
    assert_int_equal(run_read_only(f, reads_back, "f"), 0);
    assert_int_equal(run(f, replace_and_read, NULL), 0);
}

static void an_absent_document_is_not_found(void **state) {
    struct fixture *f = *state;
    assert_int_equal(run_read_only(f, reads_back, "nobody"), SL_E_NOT_FOUND);
    assert_string_equal(f->err.message, "no function nobody");
    assert_int_equal(run_read_only(f, is_there, "nobody"), SL_E_NOT_FOUND);
}

static int put_neighbours(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f, (void)user;
    struct sl_key keys[] = {key_of("", "x"), key_of("", "x"), key_of("", "x"), key_of("p", "x"), key_of("", "x")};
    keys[1].kind = "functio";
    keys[2].account = SL_STR("111111111111");
    keys[4].id = SL_STR("x\0y");
    int result = 0;
    for (size_t i = 0; i < 5 && !result; i++) {
        char text[20];
        snprintf(text, sizeof text, "{\"i\":%zu}", i);
        result = put_text(tx, &keys[i], text, err);
    }
    for (size_t i = 0; i < 5 && !result; i++) {
        struct sl_json *tree;
        result = sl_store_get(tx, &f->arena, &keys[i], &tree, err);
        if (!result && sl_json_int(tree, "i", -1) != (int64_t)i) result = SL_E_INTERNAL;
    }
    bool existed = false;
    if (!result) result = sl_store_delete(tx, &keys[0], &existed, err);
    if (!existed || sl_store_has(tx, &keys[0]) || !sl_store_has(tx, &keys[4])) result = SL_E_INTERNAL;
    if (!result) result = sl_store_delete(tx, &keys[0], &existed, err);
    return result ? result : existed ? SL_E_INTERNAL : 0;
}

static void every_part_of_the_key_tells_documents_apart(void **state) {
    assert_int_equal(run(*state, put_neighbours, NULL), 0);
}

static int put_family(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f, (void)user;
    int result = 0;
    for (int i = 0; i < 25 && !result; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%02d", (i * 7) % 25);
        struct sl_key mine = key_of("api", id), other = key_of("api2", id);
        result = put_text(tx, &mine, "{}", err);
        if (!result) result = put_text(tx, &other, "{}", err);
    }
    return result;
}

static int list_in_pages(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)user;
    struct sl_key key = key_of("api", "");
    struct sl_str after = {NULL, 0};
    int seen = 0;
    bool more = true;
    while (more) {
        struct sl_json *page = NULL;
        int result = sl_store_list(tx, &f->arena, &key, after, 10, &page, &more, err);
        if (result) return result;
        if (page->count != (more ? 10u : 5u)) return sl_fail(err, SL_E_INTERNAL, "%u in a page", page->count);
        for (const struct sl_json *item = page->first; item; item = item->next) {
            char id[16];
            snprintf(id, sizeof id, "r%02d", seen++);
            after = sl_json_string(item, "id");
            if (!sl_str_is(after, id)) return sl_fail(err, SL_E_INTERNAL, "%.*s for %s", SL_FMT(after), id);
            if (sl_json_get(item, "doc")->type != SL_JSON_OBJECT) return SL_E_INTERNAL;
        }
    }
    return seen == 25 ? 0 : SL_E_INTERNAL;
}

static int list_exactly(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)user;
    struct sl_key key = key_of("api", "");
    struct sl_json *page = NULL;
    bool more = true;
    int result = sl_store_list(tx, &f->arena, &key, SL_STR(""), 25, &page, &more, err);
    return result ? result : page->count == 25 && !more && sl_store_count(tx, &key) == 25 ? 0 : SL_E_INTERNAL;
}

static int delete_family(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f, (void)user;
    struct sl_key mine = key_of("api", ""), other = key_of("api2", "");
    int result = sl_store_delete_children(tx, &mine, err);
    return result ? result : sl_store_count(tx, &mine) == 0 && sl_store_count(tx, &other) == 25 ? 0 : SL_E_INTERNAL;
}

static void lists_come_in_pages_in_id_order(void **state) {
    struct fixture *f = *state;
    assert_int_equal(run(f, put_family, NULL), 0);
    assert_int_equal(run_read_only(f, list_in_pages, NULL), 0);
    assert_int_equal(run_read_only(f, list_exactly, NULL), 0);
}

static void deleting_children_leaves_other_parents(void **state) {
    struct fixture *f = *state;
    assert_int_equal(run(f, put_family, NULL), 0);
    assert_int_equal(run(f, delete_family, NULL), 0);
}

struct walk {
    struct fixture *fixture;
    struct sl_store_tx *tx;
    int outer, inner;
};

static int walk_inner(void *user, const struct sl_key *key, struct sl_str document, struct sl_error *err) {
    (void)key, (void)document, (void)err;
    ((struct walk *)user)->inner++;
    return 0;
}

static int walk_outer(void *user, const struct sl_key *key, struct sl_str document, struct sl_error *err) {
    struct walk *walk = user;
    struct sl_json *tree;
    if (!sl_str_is(document, "{}") || !sl_str_is(key->account, "000000000000")) return SL_E_INTERNAL;
    int result = sl_store_get(walk->tx, &walk->fixture->arena, key, &tree, err);
    if (!result && walk->outer++ == 0) result = sl_store_each(walk->tx, "function", walk_inner, walk, err);
    return result;
}

static int walk_all(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)user;
    struct walk walk = {.fixture = f, .tx = tx};
    int result = sl_store_each(tx, "function", walk_outer, &walk, err);
    return result ? result : walk.outer == 50 && walk.inner == 50 ? 0 : SL_E_INTERNAL;
}

static void each_visits_all_and_may_read_meanwhile(void **state) {
    struct fixture *f = *state;
    assert_int_equal(run(f, put_family, NULL), 0);
    assert_int_equal(run_read_only(f, walk_all, NULL), 0);
}

// --- transactions ---

static int put_and_fail(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    int result = put_by_id(f, tx, user, err);
    return result ? result : sl_fail(err, SL_E_RESOURCE_CONFLICT, "on purpose");
}

static void a_failed_job_leaves_nothing(void **state) {
    struct fixture *f = *state;
    assert_int_equal(run(f, put_and_fail, "f"), SL_E_RESOURCE_CONFLICT);
    assert_string_equal(f->err.message, "on purpose");
    assert_int_equal(run_read_only(f, is_there, "f"), SL_E_NOT_FOUND);
}

static void a_failed_job_in_a_batch_undoes_only_itself(void **state) {
    struct fixture *f = *state;
    struct gate gate;
    struct step first, bad, last;
    close_gate(f, &gate);
    prepare(&first, f, put_by_id, "first");
    prepare(&bad, f, put_and_fail, "bad");
    prepare(&last, f, put_by_id, "last");
    submit(f, &first);
    submit(f, &bad);
    submit(f, &last);
    int before = atomic_load(&syncs);
    open_gate(&gate);
    sem_wait(&last.answered);
    assert_int_equal(atomic_load(&syncs) - before, 1); // one batch, one sync
    assert_int_equal(first.result, 0);
    assert_int_equal(bad.result, SL_E_RESOURCE_CONFLICT);
    assert_int_equal(bad.committed, 0);
    assert_int_equal(last.result, 0);
    assert_int_equal(run_read_only(f, is_there, "first"), 0);
    assert_int_equal(run_read_only(f, is_there, "bad"), SL_E_NOT_FOUND);
    assert_int_equal(run_read_only(f, is_there, "last"), 0);
}

static int put_twice(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    int result = put_by_id(f, tx, user, err);
    return result ? result : put_by_id(f, tx, "second", err);
}

// Submits `fn` as a job of one write between two ordinary ones, and gives the three results.
static void run_among_others(struct fixture *f, step_fn *fn, int results[3]) {
    struct gate gate;
    struct step steps[3];
    close_gate(f, &gate);
    prepare(&steps[0], f, put_by_id, "first");
    prepare(&steps[1], f, fn, "mine");
    prepare(&steps[2], f, put_by_id, "last");
    steps[1].job.one_write = true;
    for (int i = 0; i < 3; i++) submit(f, &steps[i]);
    open_gate(&gate);
    sem_wait(&steps[2].answered);
    for (int i = 0; i < 3; i++) results[i] = steps[i].result;
}

static int fail_only(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f, (void)tx, (void)user;
    return sl_fail(err, SL_E_CONFLICT, "on purpose");
}

static void a_job_of_one_write_needs_no_savepoint(void **state) {
    struct fixture *f = *state;
    int results[3];
    run_among_others(f, put_by_id, results);
    assert_int_equal(results[0] | results[1] | results[2], 0);
    assert_int_equal(run_read_only(f, is_there, "mine"), 0);
    run_among_others(f, fail_only, results); // having written nothing
    assert_int_equal(results[0] | results[2], 0);
    assert_int_equal(results[1], SL_E_CONFLICT);
}

static void a_broken_promise_of_one_write_leaves_nothing_half_done(void **state) {
    struct fixture *f = *state;
    int results[3];
    run_among_others(f, put_twice, results);
    assert_int_equal(results[1], SL_E_USAGE);
    assert_int_equal(results[0], SL_E_IO); // shared its transaction
    assert_int_equal(results[2], 0);       // runs in a new one
    run_among_others(f, put_and_fail, results);
    assert_int_equal(results[1], SL_E_RESOURCE_CONFLICT);
    assert_int_equal(run_read_only(f, is_there, "mine"), SL_E_NOT_FOUND);
    assert_int_equal(run_read_only(f, is_there, "second"), SL_E_NOT_FOUND);
    assert_int_equal(run_read_only(f, is_there, "last"), 0);
}

static void an_answered_write_was_synced_and_published_before(void **state) {
    struct fixture *f = *state;
    struct step step;
    int before = atomic_load(&syncs);
    prepare(&step, f, put_by_id, "f");
    submit(f, &step);
    sem_wait(&step.answered);
    assert_true(atomic_load(&syncs) > before);
    assert_true(step.ran < step.committed && step.committed < step.done);
}

static void what_a_reader_saw_is_durable_when_it_is_answered(void **state) {
    struct fixture *f = *state;
    struct gate gate;
    struct step early, writer, late;
    close_gate(f, &gate);
    prepare(&early, f, is_there, "f");
    prepare(&writer, f, put_by_id, "f");
    prepare(&late, f, is_there, "f");
    early.job.read_only = late.job.read_only = true;
    submit(f, &early);
    submit(f, &writer);
    submit(f, &late);
    open_gate(&gate);
    sem_wait(&late.answered);
    assert_int_equal(early.result, SL_E_NOT_FOUND);
    assert_true(early.done < writer.ran);
    assert_int_equal(late.result, 0); // sees the job before it
    assert_true(late.ran < writer.committed && writer.committed < late.done);
}

static void a_read_only_job_may_not_write(void **state) {
    struct fixture *f = *state;
    assert_int_equal(run_read_only(f, put_by_id, "f"), SL_E_USAGE);
    assert_int_equal(run_read_only(f, is_there, "f"), SL_E_NOT_FOUND);
}

static void the_queue_is_bounded(void **state) {
    struct fixture *f = *state;
    struct gate gate;
    struct step steps[3];
    close_store(f);
    assert_int_equal(open_store(f, 2), 0);
    close_gate(f, &gate);
    for (int i = 0; i < 3; i++) prepare(&steps[i], f, put_by_id, "f");
    submit(f, &steps[0]);
    submit(f, &steps[1]);
    assert_int_equal(sl_store_submit(f->store, &steps[2].job, &f->err), SL_E_UNAVAILABLE);
    open_gate(&gate);
    sem_wait(&steps[1].answered);
    submit(f, &steps[2]);
    sem_wait(&steps[2].answered);
    assert_int_equal(steps[2].result, 0);
}

static void closing_finishes_what_was_queued(void **state) {
    struct fixture *f = *state;
    struct step steps[20];
    for (int i = 0; i < 20; i++) {
        prepare(&steps[i], f, put_by_id, "f");
        submit(f, &steps[i]);
    }
    close_store(f);
    for (int i = 0; i < 20; i++) assert_true(steps[i].committed && steps[i].done && !steps[i].result);
    assert_int_equal(open_store(f, 100), 0);
    assert_int_equal(run_read_only(f, is_there, "f"), 0);
}

// --- a loop as home ---

struct letter {
    struct sl_mail mail;
    struct step step;
    struct sl_loop *loop;
};

static void stop_when_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    step_done(job, result, err);
    sl_loop_stop(sl_loop_current());
}

static void submit_from_loop(struct sl_mail *mail) {
    struct letter *letter = SL_CONTAINER(mail, struct letter, mail);
    submit(letter->step.fixture, &letter->step);
}

static void the_answer_comes_to_the_loop_that_asked(void **state) {
    struct fixture *f = *state;
    struct letter letter = {0};
    struct sl_loop_config config = {0};
    assert_int_equal(sl_loop_new(&letter.loop, &config, &f->err), 0);
    prepare(&letter.step, f, put_by_id, "f");
    letter.step.job.done = stop_when_done;
    sl_loop_post(letter.loop, &letter.mail, submit_from_loop);
    sl_loop_run(letter.loop);
    assert_int_equal(letter.step.result, 0);
    assert_true(letter.step.done > letter.step.committed);
    assert_true(pthread_equal(letter.step.done_on, pthread_self()));
    close_store(f); // the storage thread may still be inside sl_loop_post
    sl_loop_free(letter.loop);
}

// --- broken disks ---

static int put_large(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    struct sl_key key = key_of("", user);
    static char bytes[1 << 20];
    memset(bytes, 'x', sizeof bytes);
    sl_arena_reset(&f->arena);
    return sl_store_put(tx, &key, sl_json_new_string(&f->arena, sl_str_n(bytes, sizeof bytes)), err);
}

static void on_a_full_disk_jobs_fail_and_the_store_goes_on(void **state) {
    struct fixture *f = *state;
    struct gate gate;
    struct step small, large, reader;
    assert_int_equal(run(f, put_by_id, "before"), 0);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit normal, tight;
    getrlimit(RLIMIT_FSIZE, &normal);
    tight = normal;
    tight.rlim_cur = 300000; // bytes of any file: the log cannot take the large document
    close_gate(f, &gate);
    prepare(&small, f, put_by_id, "small");
    prepare(&large, f, put_large, "large");
    prepare(&reader, f, is_there, "small");
    reader.job.read_only = true;
    submit(f, &small);
    submit(f, &large);
    submit(f, &reader);
    setrlimit(RLIMIT_FSIZE, &tight);
    open_gate(&gate);
    sem_wait(&reader.answered);
    setrlimit(RLIMIT_FSIZE, &normal);
    assert_int_equal(small.result, SL_E_IO);
    assert_int_equal(large.result, SL_E_IO);
    assert_int_equal(small.committed + large.committed, 0);
    assert_int_equal(reader.result, SL_E_IO); // what it saw never happened
    assert_int_equal(run_read_only(f, is_there, "small"), SL_E_NOT_FOUND);
    assert_int_equal(run_read_only(f, is_there, "before"), 0);
    assert_int_equal(run(f, put_large, "large"), 0);
    assert_int_equal(run_read_only(f, is_there, "large"), 0);
}

static void a_failed_sync_is_not_taken_for_a_commit(void **state) {
    struct fixture *f = *state;
    atomic_store(&sync_fails, true);
    int result = run(f, put_by_id, "f");
    atomic_store(&sync_fails, false);
    assert_int_equal(result, SL_E_IO);
    assert_int_equal(run_read_only(f, is_there, "f"), SL_E_NOT_FOUND);
    assert_int_equal(run(f, put_by_id, "f"), 0);
    close_store(f);
    assert_int_equal(open_store(f, 100), 0);
    assert_int_equal(run_read_only(f, is_there, "f"), 0);
}

// --- the data directory ---

static void a_directory_in_use_names_the_process(void **state) {
    struct fixture *f = *state;
    struct sl_store *second = NULL;
    struct sl_store_config config = {.data_dir = f->dir, .max_jobs = 10};
    assert_int_equal(sl_store_open(&second, &config, &f->err), SL_E_USAGE);
    char expected[200];
    snprintf(expected, sizeof expected, "the data directory is in use by process %d: stop it or choose another --data",
             (int)getpid());
    assert_string_equal(f->err.message, expected);
    close_store(f);
    assert_int_equal(open_store(f, 10), 0);
}

static void a_newer_schema_is_refused(void **state) {
    struct fixture *f = *state;
    close_store(f);
    char path[100];
    snprintf(path, sizeof path, "%s/sluice.db", f->path);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(open_store(f, 10), SL_E_USAGE);
    assert_non_null(strstr(f->err.message, "written by a newer Sluice (schema 99"));
}

static void a_file_that_is_no_database_is_refused(void **state) {
    struct fixture *f = *state;
    close_store(f);
    char path[100];
    snprintf(path, sizeof path, "%s/sluice.db", f->path);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++) fputs("this is not a database. ", file);
    fclose(file);
    assert_int_equal(open_store(f, 10), SL_E_IO);
    assert_non_null(strstr(f->err.message, "file is not a database"));
}

static void the_process_keeps_its_working_directory_and_umask(void **state) {
    struct fixture *f = *state;
    char before[500], after[500], database[100];
    assert_non_null(getcwd(before, sizeof before));
    close_store(f);
    mode_t mask = umask(022);
    assert_int_equal(open_store(f, 10), 0);
    assert_int_equal(umask(mask), 022);
    assert_non_null(getcwd(after, sizeof after));
    assert_string_equal(before, after);
    struct stat info;
    snprintf(database, sizeof database, "%s/sluice.db", f->path);
    assert_int_equal(stat(database, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600); // it holds secrets
}

// In a child: gives up its rights where no absolute path leads to the directory, then opens and writes.
static int open_without_a_path(struct fixture *f) {
    struct step step;
    if (chdir("/") || chmod(f->path, 0700) || mkdirat(f->dir, "data", 0700)) return 10;
    int data = openat(f->dir, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (data < 0 || fchown(data, 65534, 65534) || setgid(65534) || setuid(65534)) return 11;
    struct sl_store_config config = {.data_dir = data, .max_jobs = 10};
    if (sl_store_open(&f->store, &config, &f->err)) {
        fprintf(stderr, "%s\n", f->err.message);
        return 12;
    }
    prepare(&step, f, put_by_id, "f");
    if (sl_store_run(f->store, &step.job, &f->err)) return 13;
    prepare(&step, f, put_large, "g");
    if (sl_store_run(f->store, &step.job, &f->err)) return 14;
    sl_store_close(f->store);
    return 0;
}

static void a_directory_without_a_reachable_path_can_be_used(void **state) {
    struct fixture *f = *state;
    if (geteuid() != 0) {
        print_message("skipped: only root can give up its rights\n");
        skip();
    }
    pid_t child = fork();
    if (child == 0) _exit(open_without_a_path(f));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void an_in_memory_store_leaves_nothing(void **state) {
    struct fixture *f = *state;
    setenv("TMPDIR", f->path, 1);
    int dir = f->dir;
    f->dir = -1;
    assert_int_equal(open_store(f, 10), 0);
    f->dir = dir;
    unsetenv("TMPDIR");
    assert_int_equal(run(f, put_by_id, "f"), 0);
    assert_int_equal(run_read_only(f, is_there, "f"), 0);
    char name[64];
    int scratch = -1;
    assert_int_equal(sl_blob_scratch(f->store, name, &scratch, &f->err), 0);
    close(openat(scratch, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    close(scratch);
    close_store(f);
    assert_int_equal(rmdir(f->path), 0); // empty
    assert_int_equal(mkdir(f->path, 0700), 0);
}

static unsigned entries_of(const char *path) {
    unsigned count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void what_a_killed_in_memory_store_left_goes_with_the_next(void **state) {
    struct fixture *f = *state;
    setenv("TMPDIR", f->path, 1);
    int dir = f->dir;
    f->dir = -1;
    for (unsigned before = 0; before < 2; before++) { // the second child is killed beside a store that is in use
        pid_t child = fork();
        if (child == 0) {
            struct fixture own = {.dir = -1};
            (void)raise(open_store(&own, 10) == 0 ? SIGKILL : SIGABRT);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_int_equal(entries_of(f->path), before + 1);
        if (before == 0) assert_int_equal(open_store(f, 10), 0);
        assert_int_equal(entries_of(f->path), before + 1);
    }
    f->dir = dir;
    unsetenv("TMPDIR");
    char name[64];
    int scratch = -1;
    assert_int_equal(sl_blob_scratch(f->store, name, &scratch, &f->err), 0); // what is in use is still there
    close(scratch);
    close_store(f);
    assert_int_equal(entries_of(f->path), 1);
}

#define TEST(name)          cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_UNOPENED(name) cmocka_unit_test_setup_teardown(name, set_up_folder, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_document_returns_as_it_was_put_and_can_be_replaced),
        TEST(an_absent_document_is_not_found),
        TEST(every_part_of_the_key_tells_documents_apart),
        TEST(lists_come_in_pages_in_id_order),
        TEST(deleting_children_leaves_other_parents),
        TEST(each_visits_all_and_may_read_meanwhile),
        TEST(a_failed_job_leaves_nothing),
        TEST(a_failed_job_in_a_batch_undoes_only_itself),
        TEST(a_job_of_one_write_needs_no_savepoint),
        TEST(a_broken_promise_of_one_write_leaves_nothing_half_done),
        TEST(an_answered_write_was_synced_and_published_before),
        TEST(what_a_reader_saw_is_durable_when_it_is_answered),
        TEST(a_read_only_job_may_not_write),
        TEST(the_queue_is_bounded),
        TEST(closing_finishes_what_was_queued),
        TEST(the_answer_comes_to_the_loop_that_asked),
        TEST(on_a_full_disk_jobs_fail_and_the_store_goes_on),
        TEST(a_failed_sync_is_not_taken_for_a_commit),
        TEST(a_directory_in_use_names_the_process),
        TEST(a_newer_schema_is_refused),
        TEST(a_file_that_is_no_database_is_refused),
        TEST(the_process_keeps_its_working_directory_and_umask),
        TEST_UNOPENED(a_directory_without_a_reachable_path_can_be_used),
        TEST_UNOPENED(an_in_memory_store_leaves_nothing),
        TEST_UNOPENED(what_a_killed_in_memory_store_left_goes_with_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
