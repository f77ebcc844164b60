// SPDX-License-Identifier: Apache-2.0
//
// alias: names that stand for one version of a function, or for two with weights. Only the front doors know aliases
// (Invoke, function URLs, APIs, the event queue): each resolves the qualifier it was given into a version just before
// sl_invoke, anew for every invocation, and the engine below sees versions only.
//
// Threads: lookups on loop threads (a turn is a read section, see net/rcu.h); publish and remove on the storage thread.
// One table serves the process: an alias is named by account, region, function and name, as a function is.
#ifndef SL_INVOKE_ALIAS_H
#define SL_INVOKE_ALIAS_H

#include "invoke/invoke.h"

// All views belong to the alias object; good until the callback returns.
struct sl_alias {
    // What callers see of it: account, region, name of the function, version = the alias's name, arn = WITH the alias,
    // policy and URL of the alias, policy_generation. Nothing of it can run.
    struct sl_function face;
    struct sl_str versions[2]; // [1] is empty without routing
    double weight;             // share of versions[1], 0 to 1
};

// Publishes or replaces; everything is copied.
int sl_alias_publish(const struct sl_alias *alias, struct sl_error *err);
void sl_alias_remove(struct sl_str account, struct sl_str region, struct sl_str name, struct sl_str alias);

// NULL when there is none.
const struct sl_alias *sl_alias_find(struct sl_str account, struct sl_str region, struct sl_str name,
                                     struct sl_str alias);

// The version that this one invocation runs, in the arena: an alias's version by weight; any other qualifier as it is,
// so that what does not exist is refused where versions are (sl_invoke).
struct sl_str sl_alias_resolve(struct sl_arena *arena, struct sl_str account, struct sl_str region, struct sl_str name,
                               struct sl_str qualifier);

// What a caller needs to know of a function before it invokes it (policy, ARN): the version's description or the
// alias's face; NULL when neither exists.
const struct sl_function *sl_callable_find(struct sl_invoker *invoker, struct sl_str account, struct sl_str region,
                                           struct sl_str name, struct sl_str qualifier);
const struct sl_function *sl_callable_find_url(struct sl_invoker *invoker, struct sl_str url_id);

#endif
