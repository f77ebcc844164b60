// SPDX-License-Identifier: Apache-2.0
//
// analyzer: read by clang-tidy before every file (never by a compiler). The analyser looks at one file at a time and so
// cannot know that sl_fail() never returns 0; without this it follows paths on which a function fails and is taken to
// have succeeded.
#include "base/error.h"

#define sl_fail(err, kind, ...) ((void)(sl_fail)(err, kind, __VA_ARGS__), (kind))
#define sl_fail_errno(err, ...) ((void)(sl_fail_errno)(err, __VA_ARGS__), SL_E_IO)
