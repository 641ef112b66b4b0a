/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file fail_nth.h
 * Lets the n-th allocation or call of libcurl fail, as curl's own torture tests do.
 *
 * For tests that are linked with --wrap of all that stands in enum fail_kind (CMakeLists.txt). Only
 * calls of objects that are linked into the test pass through here: those inside libcurl, OpenSSL,
 * cJSON and libc do not, unless the test makes a library use its malloc. Of those only calls on
 * threads that take part count, so that a test's own threads are left alone.
 */
#ifndef DOORKEEPER_TEST_FAIL_NTH_H
#define DOORKEEPER_TEST_FAIL_NTH_H

#include <stdbool.h>

enum fail_kind {
    FAIL_MALLOC,
    FAIL_CALLOC,
    FAIL_REALLOC,
    FAIL_ALIGNED_ALLOC,
    FAIL_STRDUP,
    FAIL_STRNDUP,
    FAIL_MMAP,
    FAIL_GETRANDOM,
    FAIL_MUTEX_INIT,
    FAIL_COND_INIT,
    FAIL_CONDATTR_INIT,
    FAIL_CONDATTR_SETCLOCK,
    FAIL_EASY_INIT,
    FAIL_EASY_SETOPT,
    FAIL_EASY_GETINFO,
    FAIL_MULTI_INIT,
    FAIL_MULTI_SETOPT,
    FAIL_MULTI_ADD_HANDLE,
    FAIL_MULTI_PERFORM,
    FAIL_MULTI_POLL,
    FAIL_EVENTFD,
    FAIL_SLIST_APPEND,
    FAIL_KIND_COUNT,
    FAIL_ANY = FAIL_KIND_COUNT,
};

/** Whether the calls of this thread count. */
void fail_nth_take_part(bool takes_part);

#define FAIL_NEVER 0u
#define FAIL_FOR_EVER (~0u)
/** From now on calls are counted, and those with the numbers `first` (from 1) to `last` fail;
 *  numbered are calls of `kind`, or all. */
void fail_nth_begin(unsigned first, unsigned last, enum fail_kind kind);
/** Nothing fails any more, and nothing is counted. */
void fail_nth_end(void);

/** Since fail_nth_begin; calls of a kind, or all. */
unsigned fail_nth_count(enum fail_kind kind);
/** "call 7, malloc": the first that failed; valid until the next time. "nothing". */
const char *fail_nth_failed(void);

#endif
