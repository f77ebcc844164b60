// SPDX-License-Identifier: Apache-2.0
//
// spawner: what the parts of the spawner share. One thread, one epoll loop over: the control socket to the server,
// SIGCHLD, a socket per sandbox and one per template. It parses nothing, opens no path that the server names
// (directories come as descriptors), and checks every integer.
//
//   requests.c  what the server asks     ─► an order in `orders`, or a message to a sandbox
//   orders.c    waiting sandboxes: made ahead of time, given to orders, adopted
//   notes.c     what inits and templates say, and who has died ─► replies to the server
//   spawner.c   the process itself: start, loop, end
//
// Bounds: orders by max_instances, replies by pausing the reading of requests. Invariants: every accepted or refused
// START gets exactly one of STARTED or FAILED, every STARTED exactly one EXITED; EXITED (and a FAILED that had a
// sandbox) is sent after its init was reaped, which the kernel delays until the whole pid namespace is gone. When this
// process ends, all sandboxes have ended.
#ifndef SL_JAIL_SPAWNER_H
#define SL_JAIL_SPAWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "jail/jail.h"
#include "jail/replies.h"
#include "jail/shell.h"
#include "jail/template.h"

// Epoll tags: the control socket, signals, templates, slots.
enum {
    SL_JAIL__TAG_CONTROL = 0,
    SL_JAIL__TAG_SIGNALS = 1,
    SL_JAIL__TAG_TEMPLATES = 2, // + number
    SL_JAIL__TAG_SLOTS = SL_JAIL__TAG_TEMPLATES + SL_JAIL_TEMPLATES_MAX + 1,
    SL_JAIL__STRAYS = 64,
};

// A child that ended before its template said whose it was.
struct sl_jail__stray {
    pid_t pid;
    int status;
};

struct sl_jail__spawner {
    int control;
    int epoll;
    int signals;
    int claim;               // of our user ids, open as long as we live
    uint32_t control_events; // that epoll reports
    bool reopen;             // rootless: directories must be opened again in our mount namespace
    unsigned limit;
    unsigned pool;
    bool seen_without_network; // keep one of those ready too
    unsigned sweeps;           // attempts to remove what a killed spawner left
    uint64_t last_start;
    uint64_t retry_at;
    struct sl_jail__shells shells;
    struct sl_jail__order *orders; // limit; starts that wait for a sandbox
    unsigned order_count;
    struct sl_jail__order *adoptions; // limit; of blanks that do not run yet
    unsigned adoption_count;
    struct sl_jail__template templates[SL_JAIL_TEMPLATES_MAX + 1]; // by number, from 1
    struct sl_jail__stray strays[SL_JAIL__STRAYS];                 // the latest
    unsigned stray_next;
    struct sl_jail__replies *replies;
};

uint64_t sl_jail__now_ms(void);
struct sl_jail__slot *sl_jail__slot_of(struct sl_jail__spawner *s, uint64_t id);
// A mount of a directory of the server's, or -errno.
int sl_jail__clone_directory(const struct sl_jail__spawner *s, int fd);

// Sends what waits, and looks out for what comes next. While many replies wait, requests are not read, which stops the
// server's sending: back-pressure instead of memory.
void sl_jail__flush(struct sl_jail__spawner *s);
// Takes the descriptors.
void sl_jail__reply(struct sl_jail__spawner *s, const struct sl_jail__reply *reply, const int *fds, unsigned fd_count);
void sl_jail__reply_failed(struct sl_jail__spawner *s, enum sl_jail_event_kind kind, uint64_t id, uint32_t program,
                           int error, const char *step);

// requests.c. False when the server is gone.
bool sl_jail__requests_read(struct sl_jail__spawner *s);

// orders.c
int sl_jail__order_find(const struct sl_jail__order *orders, unsigned count, uint64_t id); // index or -1
// Takes the order. There is room for limit of each kind.
void sl_jail__orders_add(struct sl_jail__order *orders, unsigned *count, const struct sl_jail__order *order);
void sl_jail__orders_remove(struct sl_jail__order *orders, unsigned *count, unsigned i);
bool sl_jail__order_wants_network(const struct sl_jail__spawner *s, const struct sl_jail__order *order);
// A sandbox could not be built: tells the oldest order that waits for its kind, or the log.
void sl_jail__build_failed(struct sl_jail__spawner *s, bool network, int error, const char *step);
// Hands waiting sandboxes to orders, oldest first.
void sl_jail__orders_give(struct sl_jail__spawner *s);
// Gives a running blank the adoption that waits for it, if any.
void sl_jail__orders_adopt(struct sl_jail__spawner *s, struct sl_jail__slot *slot);
// Starts what builders are needed: several when functions wait, one at a time for the pool and only when it is quiet.
// Returns how long the loop may sleep, in milliseconds, -1 for ever.
int sl_jail__orders_refill(struct sl_jail__spawner *s);

// notes.c
// Reads what an init says. Safe to call when it is already dead: what it said before is still there.
void sl_jail__notes_read(struct sl_jail__spawner *s, struct sl_jail__slot *slot);
void sl_jail__template_notes_read(struct sl_jail__spawner *s, unsigned number);
void sl_jail__notes_reap(struct sl_jail__spawner *s);

#endif
