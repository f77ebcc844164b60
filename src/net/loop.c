// SPDX-License-Identifier: Apache-2.0
//
// loop: see loop.h. One turn: wait in epoll, read the clock, call the watches of the batch, fire the timers that are
// due, deliver the letters, report a quiescent state.
//
// Slots. A watch is registered with the kernel under a slot number and the slot's generation; stopping it raises the
// generation. So an event of the running batch whose watch was stopped, or whose slot has another watch by now, is
// recognised and dropped without a look at memory that may be gone. Slots live in chunks that never move.
//
// Mailbox. A stack that senders push and the loop takes as a whole and reverses: per sender, order is kept. A sender
// writes the eventfd only if the loop said that it goes to sleep (store asleep, look at the mailbox; push, look at
// asleep: sequentially consistent, so one of the two sees the other). The eventfd is edge-triggered: it is never read.
#include "net/loop.h"
#include "base/clock.h"
#include "net/wheel.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    BATCH = 128,
    SLOTS_PER_CHUNK = 1024,
    MAX_CHUNKS = 1024, // 1,048,576 watches
};

#define WAKE_DATA UINT64_MAX // no slot has this number

struct sl_loop_slot {
    uint32_t generation, index;
    struct sl_watch *watch;
    struct sl_loop_slot *next; // when free
};

struct sl_loop {
    struct sl_loop_config config;
    int epoll_fd, wake_fd;
    bool running;
    int64_t now_ms;
    struct sl_wheel wheel;
    struct sl_loop_slot *free_slots;
    unsigned chunk_count;
    struct sl_loop_slot *chunks[MAX_CHUNKS];
    struct sl_loop_local locals[SL_LOOP_LOCAL_COUNT];
    struct epoll_event batch[BATCH];
    // Written by other threads: on a cache line of their own.
    _Alignas(64) _Atomic(struct sl_mail *) mail;
    atomic_bool asleep, stop;
};

static _Thread_local struct sl_loop *current;

static int64_t clock_now_ms(void) { return sl_clock_mono_ns() / 1000000; }

int sl_loop_new(struct sl_loop **ret, const struct sl_loop_config *config, struct sl_error *err) {
    // Rounded up: aligned_alloc wants a multiple of the alignment.
    size_t size = (sizeof(struct sl_loop) + 63) / 64 * 64;
    struct sl_loop *loop = aligned_alloc(64, size);
    if (!loop) return sl_fail(err, SL_E_NO_MEMORY, "no memory for an event loop");
    memset(loop, 0, size);
    loop->config = *config;
    loop->now_ms = clock_now_ms();
    sl_wheel__init(&loop->wheel, loop->now_ms);
    loop->wake_fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd >= 0) loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = WAKE_DATA};
    if (loop->wake_fd < 0 || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) != 0) {
        int kind = sl_fail_errno(err, "make an event loop");
        sl_loop_free(loop);
        return kind;
    }
    *ret = loop;
    return 0;
}

void sl_loop_free(struct sl_loop *loop) {
    if (!loop) return;
    for (unsigned i = 0; i < SL_LOOP_LOCAL_COUNT; i++)
        if (loop->locals[i].release) loop->locals[i].release(loop->locals[i].value);
    if (loop->wake_fd >= 0) close(loop->wake_fd);
    if (loop->epoll_fd >= 0) close(loop->epoll_fd);
    for (unsigned i = 0; i < loop->chunk_count; i++) free(loop->chunks[i]);
    free(loop);
}

int sl_loop_index(const struct sl_loop *loop) { return loop->config.index; }
struct sl_loop *sl_loop_current(void) {
    return current;
}
int64_t sl_loop_now_ms(const struct sl_loop *loop) { return loop->now_ms; }
struct sl_loop_local *sl_loop_local(struct sl_loop *loop, unsigned key) {
    return &loop->locals[key];
}

// Slots.

static struct sl_loop_slot *slot_take(struct sl_loop *loop) {
    if (!loop->free_slots && loop->chunk_count < MAX_CHUNKS) {
        struct sl_loop_slot *chunk = calloc(SLOTS_PER_CHUNK, sizeof *chunk);
        if (!chunk) return NULL;
        for (uint32_t i = SLOTS_PER_CHUNK; i-- > 0;) {
            chunk[i].index = loop->chunk_count * SLOTS_PER_CHUNK + i;
            chunk[i].next = loop->free_slots;
            loop->free_slots = &chunk[i];
        }
        loop->chunks[loop->chunk_count++] = chunk;
    }
    struct sl_loop_slot *slot = loop->free_slots;
    if (slot) loop->free_slots = slot->next;
    return slot;
}

static void slot_give(struct sl_loop *loop, struct sl_loop_slot *slot) {
    slot->generation++; // every event of the old generation is void from here on
    slot->next = loop->free_slots;
    loop->free_slots = slot;
}

// Watches.

static struct epoll_event event_of(const struct sl_watch *watch) {
    const struct sl_loop_slot *slot = watch->slot;
    return (struct epoll_event){.events = watch->events, .data.u64 = (uint64_t)slot->generation << 32 | slot->index};
}

int sl_watch_start(struct sl_loop *loop, struct sl_watch *watch, int fd, uint32_t events,
                   void (*ready)(struct sl_watch *, uint32_t), struct sl_error *err) {
    struct sl_loop_slot *slot = slot_take(loop);
    *watch = (struct sl_watch){.fd = fd, .events = events, .ready = ready, .slot = slot};
    if (!slot) return sl_fail(err, SL_E_LIMIT, "the event loop cannot watch another file descriptor");
    slot->watch = watch;
    struct epoll_event event = event_of(watch);
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        int kind = sl_fail_errno(err, "watch a file descriptor");
        slot_give(loop, slot);
        watch->slot = NULL;
        return kind;
    }
    watch->loop = loop;
    return 0;
}

int sl_watch_change(struct sl_watch *watch, uint32_t events) {
    if (watch->events == events) return 0;
    watch->events = events;
    struct epoll_event event = event_of(watch);
    return epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) == 0 ? 0 : SL_E_IO;
}

void sl_watch_stop(struct sl_watch *watch) {
    if (!watch->loop) return;
    struct sl_loop *loop = watch->loop;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    slot_give(loop, watch->slot);
    watch->slot = NULL;
    watch->loop = NULL;
}

static void dispatch(struct sl_loop *loop, uint64_t data, uint32_t events) {
    if (data == WAKE_DATA) return; // its letters are delivered anyway
    uint32_t index = (uint32_t)data;
    struct sl_loop_slot *slot = &loop->chunks[index / SLOTS_PER_CHUNK][index % SLOTS_PER_CHUNK];
    if (slot->generation != (uint32_t)(data >> 32)) return; // stopped since the kernel reported it
    slot->watch->ready(slot->watch, events);
}

// Timers.

void sl_timer_start(struct sl_loop *loop, struct sl_timer *timer, int64_t after_ms, void (*fire)(struct sl_timer *)) {
    if (timer->prev) sl_wheel__remove(&timer->loop->wheel, timer);
    // Between turns the loop's clock may be old (set-up before sl_loop_run); counting from it would fire early.
    int64_t now = loop->running ? loop->now_ms : clock_now_ms();
    timer->loop = loop;
    timer->fire = fire;
    if (after_ms > SL_WHEEL_MAX_AFTER_MS) after_ms = SL_WHEEL_MAX_AFTER_MS;
    timer->at_ms = now + (after_ms > 0 ? after_ms : 0);
    sl_wheel__add(&loop->wheel, timer);
}

void sl_timer_stop(struct sl_timer *timer) {
    if (timer->prev) sl_wheel__remove(&timer->loop->wheel, timer);
}

// Letters.

static void wake(struct sl_loop *loop) {
    uint64_t one = 1;
    // Cannot fail short of 2^64 letters; a signal handler may be here, so errno is kept.
    int saved = errno;
    while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {}
    errno = saved;
}

void sl_loop_post(struct sl_loop *loop, struct sl_mail *mail, void (*deliver)(struct sl_mail *)) {
    mail->deliver = deliver;
    mail->next = atomic_load_explicit(&loop->mail, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&loop->mail, &mail->next, mail)) {}
    if (atomic_load(&loop->asleep) && atomic_exchange(&loop->asleep, false)) wake(loop);
}

static void deliver_all(struct sl_loop *loop) {
    if (!atomic_load_explicit(&loop->mail, memory_order_relaxed)) return;
    struct sl_mail *newest = atomic_exchange_explicit(&loop->mail, NULL, memory_order_acquire), *oldest = NULL;
    while (newest) {
        struct sl_mail *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct sl_mail *mail = oldest;
        oldest = mail->next; // before: deliver may free or post it again
        mail->deliver(mail);
    }
}

// The turn.

void sl_loop_stop(struct sl_loop *loop) {
    atomic_store(&loop->stop, true);
    if (atomic_exchange(&loop->asleep, false)) wake(loop);
}

static void clock_read(struct sl_loop *loop) { loop->now_ms = clock_now_ms(); }

static int wait_for_events(struct sl_loop *loop) {
    int64_t wait = sl_wheel__wait(&loop->wheel);
    int timeout = wait > INT_MAX ? INT_MAX : (int)wait;
    if (timeout != 0) {
        atomic_store(&loop->asleep, true);
        if (atomic_load(&loop->mail) || atomic_load(&loop->stop)) timeout = 0;
    }
    bool blocking = timeout != 0;
    if (blocking && loop->config.offline) loop->config.offline(loop->config.user);
    int count = epoll_wait(loop->epoll_fd, loop->batch, BATCH, timeout);
    if (blocking && loop->config.online) loop->config.online(loop->config.user);
    atomic_store_explicit(&loop->asleep, false, memory_order_relaxed);
    return count;
}

void sl_loop_run(struct sl_loop *loop) {
    struct sl_loop *outer = current;
    current = loop;
    clock_read(loop);
    sl_wheel__turn(&loop->wheel, loop->now_ms);
    loop->running = true;
    while (!atomic_load_explicit(&loop->stop, memory_order_relaxed)) {
        int count = wait_for_events(loop);
        clock_read(loop);
        for (int i = 0; i < count; i++) dispatch(loop, loop->batch[i].data.u64, loop->batch[i].events);
        sl_wheel__turn(&loop->wheel, loop->now_ms);
        sl_wheel__fire(&loop->wheel);
        deliver_all(loop);
        if (loop->config.quiescent) loop->config.quiescent(loop->config.user);
    }
    loop->running = false;
    atomic_store(&loop->stop, false);
    current = outer;
}
