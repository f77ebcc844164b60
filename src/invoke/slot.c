// SPDX-License-Identifier: Apache-2.0
//
// slot: the numbers under which the jail knows sandboxes, and whose they are: an instance's, or a blank's until an
// instance takes it. The jail's reports come with the id; loop 0 looks up here who is to hear them.
#include "invoke/internal.h"

bool sl_invoke__slot_take(struct sl_invoker *invoker, struct sl_instance *instance, unsigned *ret_slot,
                          uint64_t *ret_id) {
    bool found = false;
    pthread_mutex_lock(&invoker->slot_lock);
    for (unsigned i = 0; i < invoker->slot_count && !found; i++) {
        struct sl_invoke__slot *slot = &invoker->slots[i];
        if (slot->taken) continue;
        found = slot->taken = true;
        slot->instance = instance;
        *ret_slot = i;
        *ret_id = (uint64_t)++slot->generation << 32 | (i + 1);
    }
    pthread_mutex_unlock(&invoker->slot_lock);
    return found;
}

void sl_invoke__slot_give(struct sl_invoker *invoker, unsigned slot, struct sl_instance *instance) {
    pthread_mutex_lock(&invoker->slot_lock);
    invoker->slots[slot].instance = instance;
    pthread_mutex_unlock(&invoker->slot_lock);
}

void sl_invoke__slot_release(struct sl_invoker *invoker, unsigned slot) {
    pthread_mutex_lock(&invoker->slot_lock);
    invoker->slots[slot].taken = false;
    invoker->slots[slot].instance = NULL;
    pthread_mutex_unlock(&invoker->slot_lock);
}

struct sl_instance *sl_invoke__slot_find(struct sl_invoker *invoker, uint64_t id) {
    unsigned slot = (unsigned)(id & 0xffffffffu) - 1;
    struct sl_instance *instance = NULL;
    pthread_mutex_lock(&invoker->slot_lock);
    if (slot < invoker->slot_count) instance = invoker->slots[slot].instance;
    pthread_mutex_unlock(&invoker->slot_lock);
    // The slot is released only after the last report, so an id that does not match would be a fault of the spawner's.
    return instance && instance->id == id ? instance : NULL;
}

struct sl_instance *sl_invoke__slot_owner(struct sl_invoker *invoker, uint64_t id, struct sl_loop **ret_loop,
                                          bool *ret_moving) {
    unsigned slot = (unsigned)(id & 0xffffffffu) - 1;
    struct sl_instance *instance = NULL;
    pthread_mutex_lock(&invoker->slot_lock);
    if (slot < invoker->slot_count) instance = invoker->slots[slot].instance;
    if (instance && instance->id != id) instance = NULL;
    *ret_loop = instance ? instance->loop : NULL;
    *ret_moving = instance && instance->given;
    pthread_mutex_unlock(&invoker->slot_lock);
    return instance;
}
