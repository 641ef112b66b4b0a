/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fail_nth.h"

#include <curl/curl.h>

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>

static const char *const names[FAIL_KIND_COUNT] = {
    [FAIL_MALLOC] = "malloc",
    [FAIL_CALLOC] = "calloc",
    [FAIL_REALLOC] = "realloc",
    [FAIL_ALIGNED_ALLOC] = "aligned_alloc",
    [FAIL_STRDUP] = "strdup",
    [FAIL_STRNDUP] = "strndup",
    [FAIL_MMAP] = "mmap",
    [FAIL_GETRANDOM] = "getrandom",
    [FAIL_MUTEX_INIT] = "pthread_mutex_init",
    [FAIL_COND_INIT] = "pthread_cond_init",
    [FAIL_CONDATTR_INIT] = "pthread_condattr_init",
    [FAIL_CONDATTR_SETCLOCK] = "pthread_condattr_setclock",
    [FAIL_EASY_INIT] = "curl_easy_init",
    [FAIL_EASY_SETOPT] = "curl_easy_setopt",
    [FAIL_EASY_GETINFO] = "curl_easy_getinfo",
    [FAIL_MULTI_INIT] = "curl_multi_init",
    [FAIL_MULTI_SETOPT] = "curl_multi_setopt",
    [FAIL_MULTI_ADD_HANDLE] = "curl_multi_add_handle",
    [FAIL_MULTI_PERFORM] = "curl_multi_perform",
    [FAIL_MULTI_POLL] = "curl_multi_poll",
    [FAIL_EVENTFD] = "eventfd",
    [FAIL_SLIST_APPEND] = "curl_slist_append",
};

static _Thread_local bool this_thread_takes_part;
static _Atomic bool counting;
/* Set while nothing is counted, and published by `counting`. */
static unsigned first_number, last_number;
static enum fail_kind numbered;
static _Atomic unsigned number;
static _Atomic unsigned counts[FAIL_KIND_COUNT];
static _Atomic int failed; /* enum fail_kind */

void fail_nth_take_part(bool takes_part) {
    this_thread_takes_part = takes_part;
}

void fail_nth_begin(unsigned first, unsigned last, enum fail_kind kind) {
    first_number = first;
    last_number = last;
    numbered = kind;
    atomic_store(&number, 0);
    atomic_store(&failed, FAIL_ANY);
    for (size_t i = 0; i < FAIL_KIND_COUNT; i++) {
        atomic_store(&counts[i], 0);
    }
    atomic_store(&counting, true);
}

void fail_nth_end(void) {
    atomic_store(&counting, false);
}

unsigned fail_nth_count(enum fail_kind kind) {
    unsigned sum = 0;
    for (size_t i = 0; i < FAIL_KIND_COUNT; i++) {
        sum += kind == FAIL_ANY || kind == i ? atomic_load(&counts[i]) : 0;
    }
    return sum;
}

const char *fail_nth_failed(void) {
    static char text[64];
    int kind = atomic_load(&failed);
    if (kind == FAIL_ANY) {
        return "nothing";
    }
    snprintf(text, sizeof(text), "call %u, %s", first_number, names[kind]);
    return text;
}

static bool fails(enum fail_kind kind) {
    if (!this_thread_takes_part || !atomic_load(&counting)) {
        return false;
    }
    atomic_fetch_add(&counts[kind], 1);
    if (numbered != FAIL_ANY && numbered != kind) {
        return false;
    }
    unsigned n = atomic_fetch_add(&number, 1) + 1;
    if (first_number == FAIL_NEVER || n < first_number || n > last_number) {
        return false;
    }
    int none = FAIL_ANY;
    (void)atomic_compare_exchange_strong(&failed, &none, (int)kind);
    errno = ENOMEM;
    return true;
}

/* ---- the wrappers ------------------------------------------------------------------------ */

#define WRAPPED(type, name, ...)                                                                   \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

WRAPPED(void *, malloc, size_t size) {
    return fails(FAIL_MALLOC) ? NULL : __real_malloc(size);
}

WRAPPED(void *, calloc, size_t count, size_t size) {
    return fails(FAIL_CALLOC) ? NULL : __real_calloc(count, size);
}

WRAPPED(void *, realloc, void *ptr, size_t size) {
    return fails(FAIL_REALLOC) ? NULL : __real_realloc(ptr, size);
}

WRAPPED(void *, aligned_alloc, size_t alignment, size_t size) {
    return fails(FAIL_ALIGNED_ALLOC) ? NULL : __real_aligned_alloc(alignment, size);
}

WRAPPED(char *, strdup, const char *text) {
    return fails(FAIL_STRDUP) ? NULL : __real_strdup(text);
}

WRAPPED(char *, strndup, const char *text, size_t len) {
    return fails(FAIL_STRNDUP) ? NULL : __real_strndup(text, len);
}

WRAPPED(void *, mmap, void *at, size_t len, int protection, int flags, int fd, off_t offset) {
    return fails(FAIL_MMAP) ? MAP_FAILED : __real_mmap(at, len, protection, flags, fd, offset);
}

WRAPPED(ssize_t, getrandom, void *out, size_t len, unsigned flags) {
    return fails(FAIL_GETRANDOM) ? -1 : __real_getrandom(out, len, flags);
}

WRAPPED(int, pthread_mutex_init, pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes) {
    return fails(FAIL_MUTEX_INIT) ? ENOMEM : __real_pthread_mutex_init(mutex, attributes);
}

WRAPPED(int, pthread_cond_init, pthread_cond_t *condition, const pthread_condattr_t *attributes) {
    return fails(FAIL_COND_INIT) ? ENOMEM : __real_pthread_cond_init(condition, attributes);
}

WRAPPED(int, pthread_condattr_init, pthread_condattr_t *attributes) {
    return fails(FAIL_CONDATTR_INIT) ? ENOMEM : __real_pthread_condattr_init(attributes);
}

WRAPPED(int, pthread_condattr_setclock, pthread_condattr_t *attributes, clockid_t clock) {
    return fails(FAIL_CONDATTR_SETCLOCK) ? EINVAL
                                         : __real_pthread_condattr_setclock(attributes, clock);
}

WRAPPED(CURL *, curl_easy_init, void) {
    return fails(FAIL_EASY_INIT) ? NULL : __real_curl_easy_init();
}

WRAPPED(CURLcode, curl_easy_setopt, CURL *easy, CURLoption option, ...) {
    va_list arguments;
    CURLcode code = CURLE_OUT_OF_MEMORY;
    if (fails(FAIL_EASY_SETOPT)) {
        return code;
    }
    va_start(arguments, option);
    if (option < CURLOPTTYPE_OBJECTPOINT) {
        code = __real_curl_easy_setopt(easy, option, va_arg(arguments, long));
    } else if (option >= CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB) {
        code = __real_curl_easy_setopt(easy, option, va_arg(arguments, curl_off_t));
    } else {
        code = __real_curl_easy_setopt(easy, option, va_arg(arguments, void *));
    }
    va_end(arguments);
    return code;
}

WRAPPED(CURLcode, curl_easy_getinfo, CURL *easy, CURLINFO info, ...) {
    va_list arguments;
    if (fails(FAIL_EASY_GETINFO)) {
        return CURLE_OUT_OF_MEMORY;
    }
    va_start(arguments, info);
    CURLcode code = __real_curl_easy_getinfo(easy, info, va_arg(arguments, void *));
    va_end(arguments);
    return code;
}

WRAPPED(CURLM *, curl_multi_init, void) {
    return fails(FAIL_MULTI_INIT) ? NULL : __real_curl_multi_init();
}

/* Only for options that are numbers. */
WRAPPED(CURLMcode, curl_multi_setopt, CURLM *multi, CURLMoption option, ...) {
    va_list arguments;
    if (fails(FAIL_MULTI_SETOPT)) {
        return CURLM_OUT_OF_MEMORY;
    }
    va_start(arguments, option);
    CURLMcode code = __real_curl_multi_setopt(multi, option, va_arg(arguments, long));
    va_end(arguments);
    return code;
}

WRAPPED(CURLMcode, curl_multi_add_handle, CURLM *multi, CURL *easy) {
    return fails(FAIL_MULTI_ADD_HANDLE) ? CURLM_OUT_OF_MEMORY
                                        : __real_curl_multi_add_handle(multi, easy);
}

WRAPPED(CURLMcode, curl_multi_perform, CURLM *multi, int *running) {
    return fails(FAIL_MULTI_PERFORM) ? CURLM_OUT_OF_MEMORY
                                     : __real_curl_multi_perform(multi, running);
}

WRAPPED(CURLMcode, curl_multi_poll, CURLM *multi, struct curl_waitfd extra[], unsigned extra_count,
        int timeout_ms, int *ready) {
    return fails(FAIL_MULTI_POLL)
               ? CURLM_OUT_OF_MEMORY
               : __real_curl_multi_poll(multi, extra, extra_count, timeout_ms, ready);
}

WRAPPED(int, eventfd, unsigned value, int flags) {
    return fails(FAIL_EVENTFD) ? -1 : __real_eventfd(value, flags);
}

WRAPPED(struct curl_slist *, curl_slist_append, struct curl_slist *list, const char *text) {
    return fails(FAIL_SLIST_APPEND) ? NULL : __real_curl_slist_append(list, text);
}
