// SPDX-License-Identifier: Apache-2.0
//
// blank: what a Java that waits for its function (../../README.md, "Blanks") cannot do in Java: the block is read and
// becomes the environment of the process before the virtual machine first looks at it, so that System.getenv, child
// processes and native libraries see the same. Java calls the two functions at the end once each, from its main thread.
// Their arguments (JNIEnv, jclass) are not used, so no header of a JDK is needed to compile this.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAGIC = 0x534c424b, BLOCK_MAX = 1 << 20, DONE = 0, NOT_NEEDED = 1, BROKEN = 2 };

struct header {
    uint32_t magic, argc, envc, size;
};

// Returns how many bytes came before end-of-file.
static size_t read_whole(char *to, size_t size) {
    size_t have = 0;
    while (have < size) {
        ssize_t got = read(STDIN_FILENO, to + have, size - have);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        have += (size_t)got;
    }
    return have;
}

// The texts stay where they are: the environment points into them.
static int replace_environment(char *texts, const struct header *header) {
    char *end = texts + header->size;
    char *at = texts;
    if (end[-1] != '\0' || clearenv() != 0) return BROKEN;
    for (uint32_t i = 0; i < 1 + header->argc + header->envc; i++) {
        if (at >= end) return BROKEN;
        if (i >= 1 + header->argc && putenv(at) != 0) return BROKEN;
        at += strlen(at) + 1;
    }
    return at == end ? DONE : BROKEN;
}

static int become(void) {
    struct header header;
    size_t have = read_whole((char *)&header, sizeof header);
    if (have == 0) return NOT_NEEDED;
    if (have != sizeof header || header.magic != MAGIC || header.size == 0 || header.size > BLOCK_MAX) return BROKEN;
    char *texts = malloc(header.size);
    if (texts == NULL || read_whole(texts, header.size) != header.size) return BROKEN;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0) return BROKEN;
    close(null);
    if (replace_environment(texts, &header) != DONE) return BROKEN;
    tzset();
    const char *root = getenv("LAMBDA_TASK_ROOT");
    // A folder that is not there is found out, and told in AWS's words, when the handler is loaded.
    if (chdir(root != NULL ? root : "/var/task") != 0) return DONE;
    return DONE;
}

__attribute__((visibility("default"))) void Java_sluice_runtime_Blank_ready(void *environment, void *class) {
    (void)environment, (void)class;
    // Nobody there to be told is no reason to end: the block may come all the same.
    if (write(STDIN_FILENO, "R", 1) != 1) return;
}

__attribute__((visibility("default"))) int Java_sluice_runtime_Blank_become(void *environment, void *class) {
    (void)environment, (void)class;
    return become();
}
