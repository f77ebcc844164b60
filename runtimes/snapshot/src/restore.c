// SPDX-License-Identifier: Apache-2.0
//
// restore: becomes the process whose image (image.h) is standard input. A program without any library, linked where no
// other program is (build.sh), so that it can take away everything else. Executed in a sandbox in the place of the
// function's runtime, and confined as that is. Ends with status 120 or more when something is not as it was.
#include "image.h"

#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <stddef.h>

enum { SET_FS = 0x1002, RSEQ_SIGNATURE = 0x53053053, SET_MM_MAP = 14, FD_CLOSE_ON_EXEC = 1 };

struct left left __attribute__((section(".left"), used));
static struct image image;
static struct area areas[AREAS];
static struct file files[FILES];
static char texts[TEXTS];
__attribute__((used)) static char own_stack[64 * 1024] __attribute__((aligned(64)));

static long call6(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#define CALL(number, a, b, c, d) call6(number, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

static _Noreturn void fail(int status) {
    for (;;) CALL(__NR_exit_group, status, 0, 0, 0);
}

static void need(int good, int status) {
    if (!good) fail(status);
}

static void take(void *to, uint64_t size, uint64_t *at) {
    for (uint64_t done = 0; done < size;) {
        long n = CALL(__NR_pread64, 0, (char *)to + done, size - done, *at + done);
        need(n > 0, 120);
        done += (uint64_t)n;
    }
    *at += size;
}

static void take_tables(void) {
    uint64_t at = 0;
    take(&image, sizeof image, &at);
    need(image.magic == IMAGE_MAGIC && image.areas <= AREAS && image.files <= FILES && image.texts <= TEXTS, 121);
    take(areas, image.areas * sizeof(struct area), &at);
    take(files, image.files * sizeof(struct file), &at);
    take(texts, image.texts, &at);
}

static void take_environment(char **variables) {
    size_t used = 0;
    for (; *variables; variables++) {
        const char *from = *variables;
        size_t length = 0;
        while (from[length]) length++;
        if (used + length + 2 > ENVIRONMENT) break;
        for (size_t i = 0; i <= length; i++) left.environment[used++] = from[i];
    }
    left.magic = IMAGE_MAGIC;
}

static long map(uint64_t start, uint64_t length, uint32_t protection, long flags, long fd, uint64_t offset) {
    return call6(__NR_mmap, (long)start, (long)length, (long)protection, flags | MAP_FIXED, fd, (long)offset);
}

// The kernel's pages go where the image had them; everything else of this process goes.
static void park_kernels(uint64_t entry) {
    uint64_t to = HOLE_PARK;
    for (int i = 0; i < 3; i++) {
        uint64_t length = image.kernel[i][1];
        if (!length) continue;
        uint64_t from = entry - (image.kernel[2][0] - image.kernel[i][0]);
        long rc =
            call6(__NR_mremap, (long)from, (long)length, (long)length, MREMAP_MAYMOVE | MREMAP_FIXED, (long)to, 0);
        need(rc == (long)to, 122);
        to += length;
    }
    CALL(__NR_munmap, 0, HOLE_START, 0, 0);
    CALL(__NR_munmap, HOLE_END, 0x7ffffffff000ull - HOLE_END, 0, 0);
}

static void place_kernels(void) {
    uint64_t from = HOLE_PARK;
    for (int i = 0; i < 3; i++) {
        uint64_t length = image.kernel[i][1];
        if (!length) continue;
        long rc = call6(__NR_mremap, (long)from, (long)length, (long)length, MREMAP_MAYMOVE | MREMAP_FIXED,
                        (long)image.kernel[i][0], 0);
        need(rc == (long)image.kernel[i][0], 123);
        from += length;
    }
}

static int same(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

static void map_areas(void) {
    const char *path = "";
    long fd = -1;
    for (uint32_t i = 0; i < image.areas; i++) {
        const struct area *area = &areas[i];
        long flags = area->shared ? MAP_SHARED : MAP_PRIVATE, rc;
        if (area->kind == AREA_FILE && !same(path, texts + area->path)) {
            if (fd >= 0) CALL(__NR_close, fd, 0, 0, 0);
            path = texts + area->path;
            fd = CALL(__NR_openat, AT_FDCWD, path, O_RDONLY, 0);
            need(fd >= 0, 124);
        }
        if (area->kind == AREA_EMPTY)
            rc = map(area->start, area->length, area->protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        else
            rc =
                map(area->start, area->length, area->protection, flags, area->kind == AREA_FILE ? fd : 0, area->offset);
        need(rc == (long)area->start, 125);
    }
    if (fd >= 0) CALL(__NR_close, fd, 0, 0, 0);
}

static long dead_connection(void) {
    int pair[2];
    if (CALL(__NR_socketpair, 1, 1, 0, pair) != 0) return -1;
    CALL(__NR_close, pair[1], 0, 0, 0);
    return pair[0];
}

static void open_files(void) {
    long null = CALL(__NR_openat, AT_FDCWD, "/dev/null", O_RDONLY, 0);
    CALL(__NR_dup2, null, 0, 0, 0);
    CALL(__NR_close, null, 0, 0, 0);
    for (uint32_t i = 0; i < image.files; i++) {
        const struct file *file = &files[i];
        long keep = file->flags & ~(O_CREAT | O_EXCL | O_TRUNC);
        long fd = file->dead ? dead_connection() : CALL(__NR_openat, AT_FDCWD, texts + file->path, keep, 0);
        need(fd >= 0, 126);
        if (fd != file->number) {
            CALL(__NR_dup2, fd, file->number, 0, 0);
            CALL(__NR_close, fd, 0, 0, 0);
        }
        CALL(__NR_fcntl, file->number, 2, file->descriptor_flags & FD_CLOSE_ON_EXEC, 0);
        if (file->position) CALL(__NR_lseek, file->number, file->position, 0, 0);
    }
}

static void become(void) {
    struct {
        uint64_t memory[11], auxiliary;
        uint32_t auxiliary_size, program;
    } layout = {.auxiliary = 0, .auxiliary_size = 0, .program = ~0u};
    for (int i = 0; i < 11; i++) layout.memory[i] = image.memory[i];
    need(call6(__NR_prctl, PR_SET_MM, SET_MM_MAP, (long)&layout, sizeof layout, 0, 0) == 0, 127);
    CALL(__NR_prctl, PR_SET_NAME, image.name, 0, 0);
    CALL(__NR_umask, image.umask, 0, 0, 0);
    for (int i = 1; i <= SIGNALS; i++)
        if (i != 9 && i != 19) CALL(__NR_rt_sigaction, i, &image.signals[i - 1], 0, 8);
    CALL(__NR_rt_sigprocmask, 2, &image.mask, 0, 8);
    if (!(image.stack.flags & 2)) CALL(__NR_sigaltstack, &image.stack, 0, 0, 0);
    need(CALL(__NR_arch_prctl, SET_FS, image.thread_base, 0, 0) == 0, 128);
    long thread = CALL(__NR_set_tid_address, image.thread_id, 0, 0, 0);
    *(volatile int *)image.thread_id = (int)thread; // the C library's own note of it
    CALL(__NR_set_robust_list, image.robust, image.robust_size, 0, 0);
    if (!image.rseq) return;
    volatile uint32_t *rseq = (volatile uint32_t *)image.rseq;
    for (int i = 0; i < 8; i++) rseq[i] = 0;
    rseq[1] = ~0u; // not registered
    if (CALL(__NR_rseq, image.rseq, image.rseq_size, 0, RSEQ_SIGNATURE) != 0) rseq[1] = ~0u - 1;
}

__attribute__((used)) static _Noreturn void begin(uint64_t *start) {
    uint64_t count = start[0];
    char **variables = (char **)(start + count + 2), **at = variables;
    uint64_t entry = 0;
    take_environment(variables);
    while (*at) at++;
    for (uint64_t *pair = (uint64_t *)(at + 1); pair[0]; pair += 2)
        if (pair[0] == 33) entry = pair[1]; // AT_SYSINFO_EHDR
    need(entry != 0, 129);
    take_tables();
    park_kernels(entry);
    map_areas();
    place_kernels();
    open_files();
    become();
    __asm__ volatile(
        "mov 0(%0),%%rbx\nmov 8(%0),%%rbp\nmov 16(%0),%%r12\nmov 24(%0),%%r13\nmov 32(%0),%%r14\nmov 40(%0),%%r15\n"
        "mov 48(%0),%%rsp\nmov $1,%%eax\njmp *56(%0)\n"
        :
        : "c"(&image.context)
        : "memory");
    __builtin_unreachable();
}

__asm__(".text\n.globl _start\n_start:\nmov %rsp,%rdi\nlea own_stack+65536(%rip),%rsp\nand $-64,%rsp\ncall begin\n");
