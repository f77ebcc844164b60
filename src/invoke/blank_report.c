// SPDX-License-Identifier: Apache-2.0
//
// blank_report: what `sluice top` and the metrics say of blanks.
#include "invoke/blank_internal.h"

static const char *template_text(const struct sl_invoke__kind *kind) {
    static const char *const texts[] = {"none", "starting", "ready", "ending"};
    return kind->id.forks ? texts[kind->template_state] : "never";
}

static void list_kind(const struct sl_invoke__kind *kind, struct sl_buf *out) {
    sl_buf_printf(out,
                  "{\"kind\":\"%s\",\"ready\":%u,\"booting\":%u,\"wish\":%u,\"template\":\"%s\",\"hits\":%llu,"
                  "\"forks\":%llu,\"misses\":%llu,\"refills\":%llu,\"lost\":%llu,\"bootMs\":%lld,\"bytes\":%lld}",
                  kind->id.name, kind->ready, kind->booting, kind->wish, template_text(kind),
                  (unsigned long long)kind->hits, (unsigned long long)kind->forks, (unsigned long long)kind->misses,
                  (unsigned long long)kind->refills, (unsigned long long)kind->lost, (long long)kind->boot_ms,
                  (long long)kind->bytes * (kind->ready + kind->booting));
}

void sl_invoke__blank_list(struct sl_invoker *invoker, struct sl_buf *out) {
    struct sl_invoke__blanks *blanks = invoker->blanks;
    bool first = true;
    sl_buf_char(out, '[');
    if (blanks) pthread_mutex_lock(&blanks->lock);
    for (unsigned i = 0; blanks && i < SL_BLANK_KINDS_MAX; i++) {
        if (!blanks->kinds[i].used) continue;
        if (!first) sl_buf_char(out, ',');
        first = false;
        list_kind(&blanks->kinds[i], out);
    }
    if (blanks) pthread_mutex_unlock(&blanks->lock);
    sl_buf_char(out, ']');
}

static void head(struct sl_buf *out, const char *name, const char *type, const char *help) {
    sl_buf_printf(out, "# HELP sluice_%s %s\n# TYPE sluice_%s %s\n", name, help, name, type);
}

// One line per kind. Two accounts may have kinds of the same name, which only their number tells apart.
static void line(struct sl_buf *out, const char *name, unsigned number, const struct sl_invoke__kind *kind,
                 const char *label, const char *value, uint64_t count) {
    sl_buf_printf(out, "sluice_%s{kind=\"%s\",number=\"%u\"", name, kind->id.name, number);
    if (label) sl_buf_printf(out, ",%s=\"%s\"", label, value);
    sl_buf_printf(out, "} %llu\n", (unsigned long long)count);
}

void sl_invoke__blank_metrics(struct sl_invoker *invoker, struct sl_buf *out) {
    struct sl_invoke__blanks *blanks = invoker->blanks;
    if (!blanks) return;
    struct sl_invoke__kind kinds[SL_BLANK_KINDS_MAX];
    pthread_mutex_lock(&blanks->lock);
    memcpy(kinds, blanks->kinds, sizeof kinds);
    pthread_mutex_unlock(&blanks->lock);
    head(out, "blanks", "gauge", "Blanks that exist, by state.");
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++) {
        if (!kinds[i].used) continue;
        line(out, "blanks", i, &kinds[i], "state", "ready", kinds[i].ready);
        line(out, "blanks", i, &kinds[i], "state", "booting", kinds[i].booting);
    }
    head(out, "blanks_wished", "gauge", "Blanks to be kept ready.");
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++)
        if (kinds[i].used) line(out, "blanks_wished", i, &kinds[i], NULL, NULL, kinds[i].wish);
    head(out, "blank_memory_bytes", "gauge", "Memory that blanks are counted with.");
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++) {
        uint64_t bytes = (uint64_t)kinds[i].bytes * (kinds[i].ready + kinds[i].booting);
        if (kinds[i].used) line(out, "blank_memory_bytes", i, &kinds[i], NULL, NULL, bytes);
    }
    head(out, "blank_refills_total", "counter", "Blanks started.");
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++)
        if (kinds[i].used) line(out, "blank_refills_total", i, &kinds[i], NULL, NULL, kinds[i].refills);
    head(out, "blanks_yielded_total", "counter", "Blanks given up for functions that needed their memory.");
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++)
        if (kinds[i].used) line(out, "blanks_yielded_total", i, &kinds[i], NULL, NULL, kinds[i].yielded);
    head(out, "blank_starts_total", "counter",
         "Cold starts of functions that may use a blank: in one that was ready, in a copy of a template, in none.");
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++) {
        if (!kinds[i].used) continue;
        line(out, "blank_starts_total", i, &kinds[i], "way", "ready", kinds[i].hits);
        line(out, "blank_starts_total", i, &kinds[i], "way", "fork", kinds[i].forks);
        line(out, "blank_starts_total", i, &kinds[i], "way", "none", kinds[i].misses);
    }
}
