// SPDX-License-Identifier: Apache-2.0
//
// query: the way of an operation that reads log files, which neither a loop nor the storage thread may do:
//
//   loop: run ─► storage thread: load (documents) ─► loop ─► worker: work (files) ─► loop: the answer
//
// Also lists of names, as the two listings page them. Owner: the operation; it lives until it is answered, whether its
// client stays or not.
#include "services/logs/internal.h"

#include <stdlib.h>

struct query {
    struct sl_store_job job;
    struct sl_op *op;
    int (*load)(struct sl_op *op, struct sl_error *err);
    int (*work)(struct sl_op *op, struct sl_error *err);
    void *state;
    int result;
    struct sl_error error;
};

void **sl_logs__state(struct sl_op *op) { return &((struct query *)op->state)->state; }

static void work_run(struct sl_op *op) {
    struct query *query = op->state;
    query->result = query->work(op, &query->error);
}

static void work_done(struct sl_op *op) {
    struct query *query = op->state;
    if (query->result) {
        sl_op_answer_error(op, &query->error);
    } else {
        sl_op_answer(op);
    }
}

static int load_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct query *query = SL_CONTAINER(job, struct query, job);
    query->op->tx = tx;
    int result = query->load(query->op, err);
    query->op->tx = NULL;
    return result;
}

static void load_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct query *query = SL_CONTAINER(job, struct query, job);
    struct sl_error refused;
    if (!result && sl_op_work(query->op, work_run, work_done, &refused) == 0) return;
    sl_op_answer_error(query->op, result ? err : &refused);
}

int sl_logs__query(struct sl_op *op, int (*load)(struct sl_op *op, struct sl_error *err),
                   int (*work)(struct sl_op *op, struct sl_error *err), void *state, struct sl_error *err) {
    struct query *query = sl_arena_zalloc(op->arena, sizeof *query);
    if (!query) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    query->job = (struct sl_store_job){.run = load_run, .done = load_done, .read_only = true};
    query->op = op;
    query->load = load;
    query->work = work;
    query->state = state;
    op->state = query;
    return sl_store_submit(op->store, &query->job, err);
}

// ---- names ----------------------------------------------------------------------------------------------------------

bool sl_logs__add_name(struct sl_arena *arena, struct sl_logs__names *names, struct sl_str name) {
    if (names->count == names->cap) {
        unsigned cap = names->cap ? 2 * names->cap : 64;
        struct sl_str *grown = sl_arena_alloc(arena, cap * sizeof *grown);
        if (!grown) return false;
        if (names->count) memcpy(grown, names->list, names->count * sizeof *grown);
        names->list = grown;
        names->cap = cap;
    }
    names->list[names->count++] = sl_arena_dup(arena, name);
    return !sl_arena_failed(arena);
}

static int compare(const void *a, const void *b) {
    return sl_str_cmp(*(const struct sl_str *)a, *(const struct sl_str *)b);
}

void sl_logs__sort_names(struct sl_logs__names *names) {
    unsigned kept = 0;
    if (!names->count) return;
    qsort(names->list, names->count, sizeof names->list[0], compare);
    for (unsigned i = 1; i < names->count; i++) {
        if (!sl_str_eq(names->list[i], names->list[kept])) names->list[++kept] = names->list[i];
    }
    names->count = kept + 1;
}

int sl_logs__bad_token(struct sl_error *err) {
    return sl_fail(err, SL_E_LOGS_PARAMETER, "The specified nextToken is invalid.");
}
