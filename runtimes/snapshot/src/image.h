// SPDX-License-Identifier: Apache-2.0
//
// image: a process as bytes, for SnapStart. Written by photograph.c inside the process itself, read by restore.c in
// another sandbox. A header, the tables that it counts, their texts, then (from `data` on) pages. Both sides run as the
// function, with nothing but the function's rights: an image can do no more than the function's own code can.
#ifndef SNAPSHOT_IMAGE_H
#define SNAPSHOT_IMAGE_H

#include <stddef.h>
#include <stdint.h>

enum {
    AREAS = 4096,
    FILES = 64,
    TEXTS = 256 * 1024,
    SIGNALS = 64,
    PAGE = 4096,
    ENVIRONMENT = 64 * 1024,
};

#define IMAGE_MAGIC 0x31304147414d4953ull
// Where the restorer lies, above what it is linked at (build.sh). Nothing of an image may.
#define HOLE_START 0x10000000000ull
#define HOLE_END   0x10004000000ull
#define HOLE_PARK  0x10002000000ull // the kernel's own pages meanwhile
#define HOLE_LEFT  0x10001000000ull // struct left

enum area_kind { AREA_FILE, AREA_EMPTY, AREA_PAGES }; // of a file; zeros; of the image

struct area {
    uint64_t start, length, offset;          // of the file, or of the image
    uint32_t kind, protection, shared, path; // path: offset into the texts
};

struct file {
    int32_t number, flags, descriptor_flags, dead; // dead: it was a connection
    uint64_t position;
    uint32_t path, reserved;
};

struct signal_action {
    uint64_t handler, flags, restorer, mask;
};

// What a function call preserves, and where to go on.
struct context {
    uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip;
};

struct image {
    uint64_t magic, size, data;
    uint32_t areas, files, texts, reserved;
    struct context context;
    uint64_t thread_base, thread_id, robust, robust_size, rseq, rseq_size;
    uint64_t kernel[3][2], kernel_to; // the kernel's own pages: start and length each; the third is the entry's
    uint64_t memory[13];              // struct prctl_mm_map up to env_end
    uint64_t mask;
    struct {
        uint64_t pointer;
        uint32_t flags, pad;
        uint64_t size;
    } stack;
    uint32_t umask;
    char name[20];
    struct signal_action signals[SIGNALS];
};

// At HOLE_LEFT in a restored process: what it was started with.
struct left {
    uint64_t magic;
    char environment[ENVIRONMENT];
};

#endif
