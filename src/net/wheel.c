// SPDX-License-Identifier: Apache-2.0
//
// wheel: see wheel.h.
#include "net/wheel.h"

void sl_wheel__init(struct sl_wheel *wheel, int64_t now) { *wheel = (struct sl_wheel){.now = now}; }

static void push(struct sl_timer **head, struct sl_timer *timer) {
    timer->next = *head;
    if (timer->next) timer->next->prev = &timer->next;
    timer->prev = head;
    *head = timer;
}

void sl_wheel__add(struct sl_wheel *wheel, struct sl_timer *timer) {
    if (timer->at_ms <= wheel->now) {
        push(&wheel->due, timer);
        return;
    }
    uint64_t at = (uint64_t)timer->at_ms, differs = at ^ (uint64_t)wheel->now;
    unsigned level = (63u - (unsigned)__builtin_clzll(differs)) / SL_WHEEL_BITS;
    unsigned slot = (unsigned)(at >> (level * SL_WHEEL_BITS)) & (SL_WHEEL_SLOTS - 1);
    wheel->used[level] |= UINT64_C(1) << slot;
    push(&wheel->slots[level][slot], timer);
}

void sl_wheel__remove(struct sl_wheel *wheel, struct sl_timer *timer) {
    struct sl_timer **head = timer->prev;
    *head = timer->next;
    if (timer->next) timer->next->prev = head;
    timer->prev = NULL;
    timer->next = NULL;
    // The last one of a slot: the slot's bit must go, or the loop would wake up for nothing.
    struct sl_timer **first = &wheel->slots[0][0];
    if (!*head && head >= first && head < first + SL_WHEEL_LEVELS * SL_WHEEL_SLOTS) {
        size_t index = (size_t)(head - first);
        wheel->used[index / SL_WHEEL_SLOTS] &= ~(UINT64_C(1) << (index % SL_WHEEL_SLOTS));
    }
}

// The earliest slot that is in use and the time at which it begins; false without timers.
static bool earliest(const struct sl_wheel *wheel, unsigned *ret_level, unsigned *ret_slot, int64_t *ret_at) {
    for (unsigned level = 0; level < SL_WHEEL_LEVELS; level++) {
        if (!wheel->used[level]) continue;
        unsigned slot = (unsigned)__builtin_ctzll(wheel->used[level]);
        unsigned shift = level * SL_WHEEL_BITS;
        uint64_t above = (uint64_t)wheel->now >> (shift + SL_WHEEL_BITS) << (shift + SL_WHEEL_BITS);
        *ret_level = level;
        *ret_slot = slot;
        *ret_at = (int64_t)(above | (uint64_t)slot << shift);
        return true;
    }
    return false;
}

int64_t sl_wheel__wait(const struct sl_wheel *wheel) {
    if (wheel->due) return 0;
    unsigned level, slot;
    int64_t at;
    if (!earliest(wheel, &level, &slot, &at)) return -1;
    return at - wheel->now;
}

void sl_wheel__turn(struct sl_wheel *wheel, int64_t now) {
    unsigned level, slot;
    int64_t at;
    while (earliest(wheel, &level, &slot, &at) && at <= now) {
        struct sl_timer *timer = wheel->slots[level][slot];
        wheel->slots[level][slot] = NULL;
        wheel->used[level] &= ~(UINT64_C(1) << slot);
        wheel->now = at;
        while (timer) { // to `due`, or to a lower level
            struct sl_timer *next = timer->next;
            sl_wheel__add(wheel, timer);
            timer = next;
        }
    }
    if (now > wheel->now) wheel->now = now;
}

void sl_wheel__fire(struct sl_wheel *wheel) {
    wheel->firing = wheel->due;
    wheel->due = NULL;
    if (wheel->firing) wheel->firing->prev = &wheel->firing;
    while (wheel->firing) { // a callback may stop any other timer of the list
        struct sl_timer *timer = wheel->firing;
        sl_wheel__remove(wheel, timer);
        timer->fire(timer);
    }
}
