// SPDX-License-Identifier: Apache-2.0
//
// attack: what the files of the hostile function in C share. An attack is a verb with words; its result is one word or
// a short line: the name of an errno ("EPERM") when the kernel refused, "ok" (and perhaps ":detail") when the attack
// got what it wanted. attack.py is the same in Python, with the same verbs and words.
#ifndef SL_TESTS_HOSTILE_ATTACK_H
#define SL_TESTS_HOSTILE_ATTACK_H

#include <stddef.h>

enum { ATTACK_WORDS = 12, ATTACK_RESULT = 4000 };

struct attack {
    int count;
    char *word[ATTACK_WORDS]; // [0] is the verb; unused ones are ""
    char result[ATTACK_RESULT];
};

typedef void attack_fn(struct attack *attack);

struct attack_verb {
    const char *name;
    attack_fn *run;
};

// Ended by a row without a name.
extern const struct attack_verb attack_wall_verbs[];
extern const struct attack_verb attack_net_verbs[];
extern const struct attack_verb attack_flood_verbs[];

// Sets the result: "ok" for rc >= 0, else the name of errno.
void attack_judge(struct attack *attack, long rc);
void attack_say(struct attack *attack, const char *format, ...) __attribute__((format(printf, 2, 3)));
// errno's name.
const char *attack_error(void);
long attack_number(const struct attack *attack, int word);

#endif
