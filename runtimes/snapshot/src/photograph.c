// SPDX-License-Identifier: Apache-2.0
//
// photograph: makes the image of the process that calls it (image.h) and sends it to the Runtime API, for SnapStart. A
// shared library that a bootstrap loads when its function's init is over. The caller has one thread and has closed what
// it can.
//
// photograph() returns 0 where it was called, 1 in every process that is restored from the image, and a negative number
// when no image can be made: because of threads, children, shared memory, or descriptors that cannot be opened again.
// Then nothing has changed.
//
// Of memory: what a file still provides is mapped from it again; pages that were written are copied, in runs. Which is
// which the kernel says (/proc/self/pagemap). Connections are dead after a restore, as they are on AWS.
#define _GNU_SOURCE
#include "image.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { GAP = 16, GET_TID_ADDRESS = 40, GET_FS = 0x1003, STACK = 8 << 20, CALL = 1 << 18 };

// Saves what a call preserves; returns 0, and 1 when it is gone on with (restore.c sets the result).
int snapshot_mark(struct context *context);
__asm__(
    ".text\n.globl snapshot_mark\n.hidden snapshot_mark\n.type snapshot_mark,@function\nsnapshot_mark:\n"
    "mov %rbx,0(%rdi)\nmov %rbp,8(%rdi)\nmov %r12,16(%rdi)\nmov %r13,24(%rdi)\nmov %r14,32(%rdi)\nmov %r15,40(%rdi)\n"
    "lea 8(%rsp),%rax\nmov %rax,48(%rdi)\nmov (%rsp),%rax\nmov %rax,56(%rdi)\nxor %eax,%eax\nret\n");

static struct {
    struct image head;
    struct area areas[AREAS];
    struct file files[FILES];
    char texts[TEXTS];
} made;

static int pagemap;

static int add_text(const char *text, uint32_t *ret) {
    size_t length = strlen(text) + 1;
    static uint32_t last; // areas of a file lie together
    if (made.head.texts > 0 && strcmp(made.texts + last, text) == 0) {
        *ret = last;
        return 0;
    }
    if (made.head.texts + length > TEXTS) return -E2BIG;
    last = *ret = made.head.texts;
    memcpy(made.texts + made.head.texts, text, length);
    made.head.texts += (uint32_t)length;
    return 0;
}

static int add_area(struct area area) {
    if (made.head.areas == AREAS) return -E2BIG;
    made.areas[made.head.areas++] = area;
    return 0;
}

// ---- memory ----

// Whether the page is this process's own: there, and no longer (or never) the file's.
static int is_own(uint64_t address, int of_file) {
    static uint64_t bits[512];
    static uint64_t first = ~0ull;
    uint64_t page = address / PAGE;
    if (page / 512 * 512 != first) {
        first = page / 512 * 512;
        memset(bits, 0, sizeof bits);
        if (pread(pagemap, bits, sizeof bits, (off_t)(first * 8)) < 0) return -1;
    }
    uint64_t entry = bits[page % 512];
    if ((entry >> 62) == 0) return 0;
    return !(of_file && (entry >> 61 & 1));
}

// Runs of own pages; short gaps are taken along.
static int add_runs(uint64_t start, uint64_t end, uint32_t protection, int of_file) {
    uint64_t from = 0, last = 0;
    for (uint64_t at = start; at <= end; at += PAGE) {
        int own = at < end ? is_own(at, of_file) : 0;
        if (own < 0) return -EIO;
        if (own && !from) from = at;
        if (own) last = at + PAGE;
        if (from && (at == end || at >= last + GAP * PAGE)) {
            int rc = add_area(
                (struct area){.start = from, .length = last - from, .kind = AREA_PAGES, .protection = protection});
            if (rc != 0) return rc;
            from = 0;
        }
    }
    return 0;
}

static int same_file(const char *path, unsigned major, unsigned minor, unsigned long inode) {
    struct stat info;
    if (path[0] != '/' || stat(path, &info) != 0 || !S_ISREG(info.st_mode)) return 0;
    return info.st_ino == inode && (info.st_dev >> 8 & 0xfff) == major &&
           ((info.st_dev & 0xff) | (info.st_dev >> 12 & 0xfff00)) == minor;
}

static int kernels(const char *name, uint64_t start, uint64_t end) {
    static const char *const names[] = {"[vvar]", "[vvar_vclock]", "[vdso]"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        made.head.kernel[i][0] = start;
        made.head.kernel[i][1] = end - start;
        return 1;
    }
    return strcmp(name, "[vsyscall]") == 0;
}

static int add_mapping(char *line, uint64_t before) {
    unsigned long start, end, offset, inode;
    unsigned major, minor;
    char mode[5];
    int used = 0;
    if (sscanf(line, "%lx-%lx %4s %lx %x:%x %lu %n", &start, &end, mode, &offset, &major, &minor, &inode, &used) < 7)
        return -EIO;
    char *name = line + used;
    name[strcspn(name, "\n")] = '\0';
    if (kernels(name, start, end)) return 0;
    if (start < HOLE_END && end > HOLE_START) return -EADDRINUSE;
    struct area area = {.start = start,
                        .length = end - start,
                        .offset = offset,
                        .shared = mode[3] == 's',
                        .protection = (mode[0] == 'r' ? PROT_READ : 0u) | (mode[1] == 'w' ? PROT_WRITE : 0u) |
                                      (mode[2] == 'x' ? PROT_EXEC : 0u)};
    int of_file = inode != 0 && same_file(name, major, minor, inode);
    if (area.shared && (!of_file || (area.protection & PROT_WRITE))) return -ENOTSUP;
    if (of_file) {
        int rc = add_text(name, &area.path);
        area.kind = AREA_FILE;
        if (rc == 0) rc = add_area(area);
        return rc != 0 || area.shared ? rc : add_runs(start, end, area.protection, 1);
    }
    if (inode != 0 && area.protection & PROT_READ) { // a file that is not there any more: all of it
        area.kind = AREA_PAGES;
        return add_area(area);
    }
    area.kind = AREA_EMPTY;
    struct area own = area;
    if (strcmp(name, "[stack]") == 0) { // it grows, which a copy of it cannot
        uint64_t grown = (end - STACK) & ~(uint64_t)(PAGE - 1);
        if (grown < before + 256 * PAGE) grown = before + 256 * PAGE;
        if (grown < start) area.length += start - grown, area.start = grown;
    }
    int rc = add_area(area);
    return rc != 0 ? rc : add_runs(own.start, own.start + own.length, area.protection, 0);
}

static int add_memory(void) {
    static char line[8192];
    static char text[512 * 1024];
    // Read whole before it is looked at: reading it in pieces would see what looking at it changes.
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    size_t have = 0;
    ssize_t got;
    if (fd < 0) return -errno;
    while ((got = read(fd, text + have, sizeof text - 1 - have)) > 0) have += (size_t)got;
    close(fd);
    if (got < 0 || have == sizeof text - 1) return -E2BIG;
    text[have] = '\0';
    uint64_t before = 0;
    for (char *at = text; *at;) {
        size_t length = strcspn(at, "\n") + 1;
        if (length >= sizeof line) return -E2BIG;
        memcpy(line, at, length);
        line[length] = '\0';
        int rc = add_mapping(line, before);
        if (rc != 0) return rc;
        unsigned long end;
        if (sscanf(at, "%*x-%lx", &end) == 1) before = end;
        at += length;
    }
    return made.head.kernel[2][0] != 0 ? 0 : -ENOSYS;
}

// ---- descriptors ----

static int add_file(int number, const char *target) {
    struct stat info;
    struct file file = {.number = number, .flags = fcntl(number, F_GETFL), .descriptor_flags = fcntl(number, F_GETFD)};
    if (fstat(number, &info) != 0) return -errno;
    if (made.head.files == FILES) return -EMFILE;
    if (S_ISSOCK(info.st_mode)) {
        struct sockaddr_storage name;
        socklen_t length = sizeof name;
        if (getsockname(number, (struct sockaddr *)&name, &length) != 0) return -errno;
        if (name.ss_family != AF_INET && name.ss_family != AF_INET6) return -ENOTSUP;
        file.dead = 1;
    } else if ((S_ISREG(info.st_mode) || S_ISCHR(info.st_mode)) && same_file(target, 0, 0, 0) == 0) {
        struct stat now;
        if (target[0] != '/' || stat(target, &now) != 0 || now.st_ino != info.st_ino || now.st_dev != info.st_dev)
            return -ENOTSUP;
        if (S_ISREG(info.st_mode)) file.position = (uint64_t)lseek(number, 0, SEEK_CUR);
    } else {
        return -ENOTSUP;
    }
    int rc = add_text(target, &file.path);
    if (rc == 0) made.files[made.head.files++] = file;
    return rc;
}

static int add_files(int socket) {
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) return -errno;
    int rc = 0;
    struct dirent *entry;
    while (rc == 0 && (entry = readdir(folder)) != NULL) {
        int number = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || number <= 2 || number == socket || number == pagemap || number == dirfd(folder))
            continue;
        char link[64], target[4096];
        snprintf(link, sizeof link, "/proc/self/fd/%d", number);
        ssize_t length = readlink(link, target, sizeof target - 1);
        if (length < 0) continue;
        target[length] = '\0';
        rc = add_file(number, target);
    }
    closedir(folder);
    return rc;
}

// ---- what the kernel knows of the process ----

static int add_process(void) {
    struct image *head = &made.head;
    static char text[4096];
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) close(fd);
    if (got <= 0) return -EIO;
    text[got] = '\0';
    uint64_t field[53] = {0};
    char *at = strrchr(text, ')');
    for (int i = 3; at != NULL && i < 53; i++) {
        at = strchr(at, ' ');
        if (at != NULL) field[i] = strtoull(++at, NULL, 10);
    }
    // start_code end_code start_data end_data start_brk brk start_stack arg_start arg_end env_start env_end
    const uint64_t memory[] = {field[26], field[27], field[45], field[46], field[47], (uint64_t)sbrk(0),
                               field[28], field[48], field[49], field[50], field[51]};
    memcpy(head->memory, memory, sizeof memory);
    if (field[20] != 1) return -EBUSY; // threads
    if (prctl(GET_TID_ADDRESS, &head->thread_id, 0, 0, 0) != 0 || prctl(PR_GET_NAME, head->name, 0, 0, 0) != 0)
        return -errno;
    if (syscall(SYS_arch_prctl, GET_FS, &head->thread_base) != 0) return -errno;
    if (syscall(SYS_get_robust_list, 0, &head->robust, &head->robust_size) != 0) return -errno;
    if (syscall(SYS_sigaltstack, NULL, &head->stack) != 0) return -errno;
    if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &head->mask, 8) != 0) return -errno;
    for (int i = 1; i <= SIGNALS; i++) (void)syscall(SYS_rt_sigaction, i, NULL, &head->signals[i - 1], 8);
    const ptrdiff_t *offset = dlsym(RTLD_DEFAULT, "__rseq_offset");
    const unsigned *size = dlsym(RTLD_DEFAULT, "__rseq_size");
    if (offset != NULL && size != NULL && *size > 0)
        head->rseq = head->thread_base + (uint64_t)*offset, head->rseq_size = 32;
    head->umask = umask(0);
    (void)umask(head->umask);
    fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    got = fd >= 0 ? read(fd, text, sizeof text) : 0;
    if (fd >= 0) close(fd);
    return got > 0 ? -ECHILD : 0;
}

// ---- sending ----

static int put(int socket, const void *bytes, size_t size) {
    const char *at = bytes;
    while (size > 0) {
        ssize_t n = write(socket, at, size < CALL ? size : CALL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return -EIO; // also memory that cannot be read
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

static int send_image(int socket) {
    static const char zeros[PAGE];
    char text[256];
    struct image *head = &made.head;
    uint64_t tables =
        sizeof *head + head->areas * sizeof(struct area) + head->files * sizeof(struct file) + head->texts;
    uint64_t at = head->data = (tables + PAGE - 1) / PAGE * PAGE;
    for (uint32_t i = 0; i < head->areas; i++) {
        if (made.areas[i].kind != AREA_PAGES) continue;
        made.areas[i].offset = at;
        at += made.areas[i].length;
    }
    head->size = at;
    head->magic = IMAGE_MAGIC;
    int length = snprintf(
        text, sizeof text,
        "POST /2018-06-01/runtime/restore/image HTTP/1.1\r\nHost: 127.0.0.1:9001\r\nContent-Length: %llu\r\n\r\n",
        (unsigned long long)at);
    int rc = put(socket, text, (size_t)length);
    if (rc == 0) rc = put(socket, head, sizeof *head);
    if (rc == 0) rc = put(socket, made.areas, head->areas * sizeof(struct area));
    if (rc == 0) rc = put(socket, made.files, head->files * sizeof(struct file));
    if (rc == 0) rc = put(socket, made.texts, head->texts);
    if (rc == 0) rc = put(socket, zeros, head->data - tables);
    for (uint32_t i = 0; i < head->areas && rc == 0; i++)
        if (made.areas[i].kind == AREA_PAGES) rc = put(socket, (const void *)made.areas[i].start, made.areas[i].length);
    if (rc != 0) return rc;
    ssize_t got = read(socket, text, sizeof text);
    return got > 12 && memcmp(text + 9, "202", 3) == 0 ? 0 : -EPROTO;
}

__attribute__((visibility("default"))) int photograph(int socket) {
    memset(&made.head, 0, sizeof made.head);
    pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (pagemap < 0) return -errno;
    int rc = add_process();
    if (rc == 0) rc = add_files(socket);
    if (rc == 0) rc = add_memory();
    if (rc == 0 && snapshot_mark(&made.head.context) != 0) return 1;
    if (rc == 0) rc = send_image(socket);
    close(pagemap);
    return rc;
}

// In a restored process: the variables that it was started with, each with its NUL, the last followed by another one.
__attribute__((visibility("default"))) const char *photograph_environment(void) {
    return ((const struct left *)HOLE_LEFT)->environment;
}

// Takes away what the restorer has left behind.
__attribute__((visibility("default"))) void photograph_end(void) {
    (void)munmap((void *)HOLE_START, HOLE_END - HOLE_START);
}
