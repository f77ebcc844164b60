// SPDX-License-Identifier: Apache-2.0
//
// archive: see archive.h. The table is written once, before it is used.
#include "store/archive.h"

#include <dlfcn.h>
#include <pthread.h>

struct sl_archive sl_archive;

static const char library_name[] = "libarchive.so.13"; // the only one since 2013
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool loaded;

// POSIX has a pointer to an object where the function's address is (dlsym(3)).
static bool find(void *library, const char *name, void *slot) {
    void *address = dlsym(library, name);
    *(void **)slot = address;
    return address != NULL;
}

static void load(void) {
    void *library = dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    loaded = true;
#define SL_ARCHIVE_FIND(name) loaded = find(library, "archive_" #name, &sl_archive.name) && loaded;
    SL_ARCHIVE_FUNCTIONS(SL_ARCHIVE_FIND)
#undef SL_ARCHIVE_FIND
}

int sl_archive_load(struct sl_error *err) {
    pthread_once(&once, load);
    if (loaded) return 0;
    return sl_fail(err, SL_E_UNAVAILABLE, "zip files need libarchive (Debian: libarchive13), %s or newer",
                   library_name);
}
