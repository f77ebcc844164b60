// SPDX-License-Identifier: Apache-2.0
//
// curl: see curl.h. One thread, the command line's.
#include "cli/curl.h"

#include <dlfcn.h>

static const char library_name[] = "libcurl.so.4"; // the only one since 2006

// POSIX has a pointer to an object where the function's address is (dlsym(3)).
static bool find(void *library, const char *name, void *slot) {
    void *address = dlsym(library, name);
    *(void **)slot = address;
    return address != NULL;
}

static bool find_all(void *library, struct sl_cli__curl *curl) {
    return find(library, "curl_easy_init", &curl->init) && find(library, "curl_easy_setopt", &curl->setopt) &&
           find(library, "curl_easy_perform", &curl->perform) && find(library, "curl_easy_getinfo", &curl->getinfo) &&
           find(library, "curl_easy_strerror", &curl->strerror) && find(library, "curl_easy_cleanup", &curl->cleanup) &&
           find(library, "curl_slist_append", &curl->append) && find(library, "curl_slist_free_all", &curl->free_all);
}

int sl_cli__curl_load(const struct sl_cli__curl **ret, struct sl_error *err) {
    static struct sl_cli__curl curl;
    static bool loaded;
    *ret = &curl;
    if (loaded) return 0;
    void *library = dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
    if (!library || !find_all(library, &curl))
        return sl_fail(err, SL_E_UNAVAILABLE, "the commands that ask a server need libcurl (Debian: libcurl4): %s",
                       dlerror());
    loaded = true;
    return 0;
}
