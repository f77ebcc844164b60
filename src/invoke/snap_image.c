// SPDX-License-Identifier: Apache-2.0
//
// snap_image: snapshots that are the memory of a process. A runtime that can (Python's, by runtimes/snapshot) sends one
// before it asks for restore/next; from then on every instance of the version is a new process in a sandbox of its own,
// made from it. The bytes lie in a sealed memfd: instances share its pages, each writes to copies of its own, and
// nobody can change it. The server never looks at them. What restores it is confined like the function itself, so that
// what a hostile function sends here it could as well have done where it is.
//
// The image counts in the budget of memory. There is a most of all of them together (a quarter of the budget, or
// IMAGES_MAX): beyond it, the image that was used longest ago goes, and its version keeps an instance instead.
#include "invoke/internal.h"

#include "base/clock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { IMAGES_MB = 2048, MB = 1024 * 1024 };

struct sl_invoke__snap_image {
    pthread_mutex_t lock;
    int fd; // -1: none
    int64_t size, made_ns;
    _Atomic int64_t used_ns;
    bool refused; // one could not be restored: none is taken any more
    atomic_bool there;
    struct sl_invoker *invoker;
    struct sl_invoke__snap_image *next, *prev; // in the list of all that have one, under images_lock
};

static pthread_mutex_t images_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sl_invoke__snap_image *images;
static int64_t images_size;

struct sl_invoke__snap_image *sl_invoke__snap_image_new(void) {
    struct sl_invoke__snap_image *image = calloc(1, sizeof *image);
    if (!image) return NULL;
    pthread_mutex_init(&image->lock, NULL);
    image->fd = -1;
    return image;
}

// Under images_lock.
static void drop(struct sl_invoke__snap_image *image) {
    pthread_mutex_lock(&image->lock);
    int fd = image->fd;
    image->fd = -1;
    atomic_store(&image->there, false);
    pthread_mutex_unlock(&image->lock);
    if (fd < 0) return;
    close(fd);
    images_size -= image->size;
    atomic_fetch_sub(&image->invoker->memory_used, image->size);
    if (image->next) image->next->prev = image->prev;
    *(image->prev ? &image->prev->next : &images) = image->next;
    image->next = image->prev = NULL;
}

void sl_invoke__snap_image_drop(struct sl_invoke__pool *pool, bool for_good) {
    struct sl_invoke__snap_image *image = pool->snap_image;
    if (!image) return;
    pthread_mutex_lock(&images_lock);
    image->refused = image->refused || for_good;
    drop(image);
    pthread_mutex_unlock(&images_lock);
}

void sl_invoke__snap_image_expire(struct sl_invoke__pool *pool, int64_t now_ns) {
    struct sl_invoke__snap_image *image = pool->snap_image;
    if (!sl_invoke__snap_image_is(pool)) return;
    pthread_mutex_lock(&images_lock);
    if (now_ns - image->made_ns > (int64_t)SL_INVOKE__CREDENTIALS_AGE_S * 1000000000) drop(image);
    pthread_mutex_unlock(&images_lock);
}

void sl_invoke__snap_image_free(struct sl_invoke__pool *pool) {
    if (!pool->snap_image) return;
    sl_invoke__snap_image_drop(pool, true);
    pthread_mutex_destroy(&pool->snap_image->lock);
    free(pool->snap_image);
}

bool sl_invoke__snap_image_is(const struct sl_invoke__pool *pool) {
    return pool->snap_image && atomic_load_explicit(&pool->snap_image->there, memory_order_relaxed);
}

int sl_invoke__snap_image_open(struct sl_invoke__pool *pool) {
    struct sl_invoke__snap_image *image = pool->snap_image;
    if (!sl_invoke__snap_image_is(pool)) return -1;
    pthread_mutex_lock(&image->lock);
    int fd = image->fd >= 0 ? fcntl(image->fd, F_DUPFD_CLOEXEC, 3) : -1;
    image->used_ns = sl_clock_mono_ns();
    pthread_mutex_unlock(&image->lock);
    return fd;
}

// ---- taking one -----------------------------------------------------------------------------------------------------

static int64_t most_of(const struct sl_invoker *invoker) {
    int64_t quarter = invoker->config.memory_bytes / 4;
    return quarter && quarter < (int64_t)IMAGES_MB * MB ? quarter : (int64_t)IMAGES_MB * MB;
}

bool sl_invoke__snap_image_begin(struct sl_runtime *runtime, uint64_t length) {
    struct sl_instance *instance = runtime->user;
    struct sl_invoke__snap_image *image = instance->pool->snap_image;
    // A process has no more memory than its function; what files provide is not sent.
    uint64_t most = (uint64_t)instance->pool->spec.memory_mb * MB;
    if (!image || image->refused || instance->extensions || instance->image_fd >= 0 || length > most) return false;
    if (sl_invoke__snap_image_is(instance->pool) || (int64_t)length > most_of(instance->invoker)) return false;
    instance->image_fd = memfd_create("sluice-snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    instance->image_left = (int64_t)length;
    return instance->image_fd >= 0;
}

void sl_invoke__snap_image_part(struct sl_runtime *runtime, struct sl_str bytes) {
    struct sl_instance *instance = runtime->user;
    while (bytes.len && instance->image_fd >= 0) {
        ssize_t n = write(instance->image_fd, bytes.ptr, bytes.len);
        if (n <= 0) { // no memory: it is not taken
            close(instance->image_fd);
            instance->image_fd = -1;
            return;
        }
        instance->image_left -= n;
        bytes = sl_str_sub(bytes, (size_t)n, bytes.len);
    }
}

// Those used longest ago go until this one fits.
static void make_room(const struct sl_invoker *invoker, int64_t size) {
    while (images && images_size + size > most_of(invoker)) {
        struct sl_invoke__snap_image *oldest = images;
        for (struct sl_invoke__snap_image *one = images; one; one = one->next)
            if (one->used_ns < oldest->used_ns) oldest = one;
        drop(oldest);
    }
}

bool sl_invoke__snap_image_end(struct sl_runtime *runtime) {
    struct sl_instance *instance = runtime->user;
    struct sl_invoke__snap_image *image = instance->pool->snap_image;
    const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    int fd = instance->image_fd;
    instance->image_fd = -1;
    if (fd < 0) return false;
    int64_t size = lseek(fd, 0, SEEK_END);
    bool whole = instance->image_left == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0 && lseek(fd, 0, SEEK_SET) == 0;
    pthread_mutex_lock(&images_lock);
    bool kept = whole && image->fd < 0 && !image->refused && !atomic_load(&instance->pool->retired);
    if (kept) {
        make_room(instance->invoker, size);
        image->invoker = instance->invoker;
        image->size = size;
        if ((image->next = images)) images->prev = image;
        images = image;
        images_size += size;
        atomic_fetch_add(&instance->invoker->memory_used, size);
        pthread_mutex_lock(&image->lock);
        image->fd = fd;
        image->used_ns = image->made_ns = sl_clock_mono_ns();
        atomic_store(&image->there, true);
        pthread_mutex_unlock(&image->lock);
    }
    pthread_mutex_unlock(&images_lock);
    if (!kept) close(fd);
    return kept;
}

uint64_t sl_invoke__snap_image_bytes(void) {
    pthread_mutex_lock(&images_lock);
    uint64_t size = (uint64_t)images_size;
    pthread_mutex_unlock(&images_lock);
    return size;
}
