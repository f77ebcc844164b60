// SPDX-License-Identifier: Apache-2.0
//
// ready: whether a version may be invoked now, for what the function is and what it says of itself (lambda/state.c):
//
//   Failed    there is no code: every invocation is refused
//   Pending   refused until ready_ms, or until an Inactive one is awake
//   Inactive  a container image that nobody invoked for config.inactive_ms. The first invocation is refused and wakes
//             it: it is Pending for config.activation_ms, then Active ("Invoking functions defined as container
//             images", developer guide). What was unpacked stays on disk; that its image is still at its place is not
//             asked, because a function that was accepted must not be lost
//
// When a version was last invoked is kept in memory, so a restart counts as an invocation. Times are those of
// sl_clock_ms, which tests may advance. Any thread that reads the registry; nothing is locked: of two invocations that
// find it Inactive both are refused.
#include "invoke/internal.h"

#include "base/clock.h"

static int not_now(const char *state, struct sl_error *err) {
    return sl_fail(err, SL_E_RESOURCE_CONFLICT,
                   "The operation cannot be performed at this time. The function is currently in the following state: "
                   "%s",
                   state); // as AWS says it
}

int sl_invoke_check(const struct sl_function *function, struct sl_str tenant_id, struct sl_error *err) {
    if (function->failed) return not_now("Failed", err);
    if (function->ready_ms > 0 && sl_clock_ms() < function->ready_ms) return not_now("Pending", err);
    if (function->per_tenant == (tenant_id.len > 0)) return 0;
    // Both as AWS says them.
    return sl_fail(err, SL_E_INVALID_PARAMETER, "%s",
                   function->per_tenant
                       ? "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your "
                         "request and try again."
                       : "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from "
                         "your request and try again.");
}

static bool may_rest(const struct sl_invoker *invoker, const struct sl_invoke__entry *entry) {
    return invoker->config.inactive_ms > 0 && entry->function.image && !entry->function.failed;
}

static enum sl_function_state state_at(const struct sl_invoker *invoker, const struct sl_invoke__entry *entry,
                                       int64_t now_ms) {
    if (!may_rest(invoker, entry)) return SL_FUNCTION_ACTIVE;
    if (now_ms < atomic_load(&entry->awake_ms)) return SL_FUNCTION_PENDING;
    return now_ms - atomic_load(&entry->used_ms) >= invoker->config.inactive_ms ? SL_FUNCTION_INACTIVE
                                                                                : SL_FUNCTION_ACTIVE;
}

enum sl_function_state sl_function_state(struct sl_invoker *invoker, const struct sl_function *name) {
    sl_rcu_begin();
    const struct sl_invoke__entry *entry =
        sl_invoke__entry_find(invoker, name->account, name->region, name->name, name->version);
    enum sl_function_state state = entry ? state_at(invoker, entry, sl_clock_ms()) : SL_FUNCTION_ACTIVE;
    sl_rcu_end();
    return state;
}

void sl_invoke__used(struct sl_invoke__entry *entry, const struct sl_invoke__entry *before) {
    atomic_init(&entry->used_ms, before ? atomic_load(&before->used_ms) : sl_clock_ms());
    atomic_init(&entry->awake_ms, before ? atomic_load(&before->awake_ms) : 0);
}

int sl_invoke__stir(struct sl_invoker *invoker, struct sl_invoke__entry *entry, struct sl_error *err) {
    if (!may_rest(invoker, entry)) return 0;
    int64_t now_ms = sl_clock_ms();
    enum sl_function_state state = state_at(invoker, entry, now_ms);
    if (state == SL_FUNCTION_PENDING) return not_now("Pending", err);
    if (state == SL_FUNCTION_INACTIVE) atomic_store(&entry->awake_ms, now_ms + invoker->config.activation_ms);
    atomic_store(&entry->used_ms, now_ms);
    if (state == SL_FUNCTION_ACTIVE) return 0;
    return sl_fail(err, SL_E_CODE_PENDING,
                   "Lambda is initializing your function. It will be ready to invoke shortly."); // as AWS says it
}
