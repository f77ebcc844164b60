// SPDX-License-Identifier: Apache-2.0
//
// pattern: the models' regular expressions (Java's dialect), compiled with PCRE2 at first use and kept for the process.
// Any thread.
#ifndef SL_AWS_PATTERN_H
#define SL_AWS_PATTERN_H

#include "aws/model.h"

// Whether the whole text matches the shape's pattern, as Java's matches(). A pattern that PCRE2 cannot compile, or a
// match that would take too many steps, is false for the second and true for the first: the handler is then the judge.
bool sl_pattern_matches(const struct sl_shape *shape, struct sl_str text);

// For tests: false if the pattern does not compile.
bool sl_pattern_compiles(const struct sl_shape *shape);

#endif
