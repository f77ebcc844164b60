// SPDX-License-Identifier: Apache-2.0
//
// loop: one epoll instance, one timer wheel and one mailbox per loop thread. Loop threads share nothing; another thread
// talks to a loop only through sl_loop_post. Every callback runs on the loop's own thread. A turn of the loop ends with
// sl_loop_config.quiescent (the daemon reports a QSBR quiescent state there).
//
// Lifetime: a watch, timer or mail belongs to its user and is embedded in the user's object. After sl_watch_stop no
// callback of that watch is called any more, also none that the current epoll batch still holds, and the object may be
// freed at once: the kernel is given a slot number and a generation, never the watch's address, and the loop compares
// generations before it calls. A watch moves to another loop by being stopped on the old loop's thread and started on
// the new one's; readiness is level-triggered, so nothing is lost between.
#ifndef SL_NET_LOOP_H
#define SL_NET_LOOP_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

struct sl_loop;

struct sl_loop_config {
    int index; // 0..n-1, the loop's place among the loop threads
    void (*quiescent)(
        void *user); // may be NULL; called once per turn, and (offline/online) around blocking in epoll_wait
    void (*offline)(void *user);
    void (*online)(void *user);
    void *user;
};

int sl_loop_new(struct sl_loop **ret, const struct sl_loop_config *config, struct sl_error *err);
// The loop must not run. Watches and timers must be stopped before (their memory is not touched); undelivered letters
// are dropped.
void sl_loop_free(struct sl_loop *loop);
// Runs until sl_loop_stop (any thread or signal handler may call stop; a stop before run makes run return at once).
void sl_loop_run(struct sl_loop *loop);
void sl_loop_stop(struct sl_loop *loop);
int sl_loop_index(const struct sl_loop *loop);
// The loop that runs on the calling thread, or NULL.
struct sl_loop *sl_loop_current(void);
// Monotonic milliseconds at the start of this turn: cheap, coarse.
int64_t sl_loop_now_ms(const struct sl_loop *loop);

// What a module keeps per loop (free lists, caches). One key per module; the value is released by sl_loop_free.
enum { SL_LOOP_LOCAL_HTTP, SL_LOOP_LOCAL_COUNT };
struct sl_loop_local {
    void *value;
    void (*release)(void *value);
};
struct sl_loop_local *sl_loop_local(struct sl_loop *loop, unsigned key);

// A file descriptor's readiness. Level-triggered; `events` are EPOLL* bits.
struct sl_watch {
    int fd;
    uint32_t events;
    struct sl_loop *loop;      // NULL when stopped
    struct sl_loop_slot *slot; // internal
    void (*ready)(struct sl_watch *watch, uint32_t events);
};
int sl_watch_start(struct sl_loop *loop, struct sl_watch *watch, int fd, uint32_t events,
                   void (*ready)(struct sl_watch *, uint32_t), struct sl_error *err);
int sl_watch_change(struct sl_watch *watch, uint32_t events); // no system call when unchanged
void sl_watch_stop(struct sl_watch *watch); // does not close the fd (stop first, then close); accepts a stopped watch

// One-shot timers, millisecond resolution, O(1) start and stop.
struct sl_timer {
    struct sl_timer *next, **prev; // prev is NULL when not armed
    int64_t at_ms;
    struct sl_loop *loop;
    void (*fire)(struct sl_timer *timer);
};
// (Re)arms. `after_ms` counts from the loop's clock; 0 fires in the next turn. At most 34 years. Timers of
// the same millisecond fire in no promised order.
void sl_timer_start(struct sl_loop *loop, struct sl_timer *timer, int64_t after_ms, void (*fire)(struct sl_timer *));
void sl_timer_stop(struct sl_timer *timer); // accepts one that is not armed
static inline int sl_timer_armed(const struct sl_timer *timer) { return timer->prev != NULL; }

// A letter from any thread (or from the loop itself: then it is delivered in the next turn, which breaks recursion).
// The letter belongs to the loop until `deliver` runs. Letters of one sender arrive in order.
struct sl_mail {
    struct sl_mail *next;
    void (*deliver)(struct sl_mail *mail);
};
void sl_loop_post(struct sl_loop *loop, struct sl_mail *mail, void (*deliver)(struct sl_mail *));

// container_of for embedded watches, timers and letters.
#define SL_CONTAINER(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
