// SPDX-License-Identifier: Apache-2.0
//
// attack: the hostile function in C, and the same attacks as a command, to see what they do where there is no jail.
//
//     bootstrap                as a Lambda runtime: the event is a JSON text "VERB WORD...", the answer the result
//     attack VERB WORD...      prints the result
//
// Nothing here is polite to its own sandbox, but outside of one each verb changes nothing that outlives the process,
// given the words that the tests use.
#define _GNU_SOURCE
#include "attack.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice_json.h"
#include "sluice_runtime.h"

const char *attack_error(void) {
    const char *name = strerrorname_np(errno);
    return name != NULL ? name : "E?";
}

void attack_say(struct attack *attack, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(attack->result, sizeof attack->result, format, args);
    va_end(args);
}

void attack_judge(struct attack *attack, long rc) { attack_say(attack, "%s", rc >= 0 ? "ok" : attack_error()); }

long attack_number(const struct attack *attack, int word) { return strtol(attack->word[word], NULL, 0); }

static void run(struct attack *attack) {
    static const struct attack_verb *const tables[] = {attack_wall_verbs, attack_net_verbs, attack_flood_verbs};
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        for (const struct attack_verb *verb = tables[t]; verb->name != NULL; verb++) {
            if (strcmp(verb->name, attack->word[0]) != 0) continue;
            verb->run(attack);
            return;
        }
    }
    attack_say(attack, "unknown verb %s", attack->word[0]);
}

static int handler(const struct sluice_event *event, const struct sluice_context *context,
                   struct sluice_response *response, void *arg) {
    static char empty[] = "";
    static struct attack attack;
    struct sluice_json doc;
    char text[1024];
    (void)context, (void)arg;
    if (sluice_json_parse(&doc, event->data, event->len) != 0) return sluice_fail(response, "Event", "no JSON");
    if (sluice_json_text(&doc, 0, text, sizeof text) < 0) text[0] = '\0';
    sluice_json_free(&doc);
    attack.count = 0;
    for (int i = 0; i < ATTACK_WORDS; i++) attack.word[i] = empty;
    char *rest = text;
    for (char *word; attack.count < ATTACK_WORDS && (word = strsep(&rest, " ")) != NULL;) {
        attack.word[attack.count++] = word;
    }
    run(&attack);
    return sluice_write_string(response, attack.result, strlen(attack.result));
}

int main(int argc, char **argv) {
    static char empty[] = "";
    static struct attack attack;
    if (argc < 2) return sluice_run(handler, NULL);
    attack.count = argc - 1 < ATTACK_WORDS ? argc - 1 : ATTACK_WORDS;
    for (int i = 0; i < ATTACK_WORDS; i++) attack.word[i] = i < attack.count ? argv[i + 1] : empty;
    run(&attack);
    puts(attack.result);
    return 0;
}
