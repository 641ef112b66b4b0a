/* SPDX-License-Identifier: Apache-2.0 */
#include "denials.h"

#include "file_watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 240

struct dk_denials {
    /* Read by every call and written with every new list: apart from the lock. */
    _Alignas(64) _Atomic uint32_t generation;
    _Atomic size_t count;
    _Alignas(64) pthread_mutex_t lock;
    struct dk_deny_list *current; /* under the lock; NULL: no file */
    struct dk_log *log;
    struct dk_log_limit denied_limit;
    struct dk_file_watch file; /* scribe only */
    struct dk_log_limit broken_limit;
};

static enum dk_error parse(const struct dk_denials *denials, const struct dk_writer *content,
                           struct dk_deny_list **out, struct dk_error_text *why) {
    struct dk_error_text cause = {""};
    enum dk_error error = dk_deny_list_parse(dk_writer_view(content), out, &cause);
    return error == DK_OK
               ? DK_OK
               : dk_config_fail_file(denials->file.config, DK_FILE_DENY, cause.text, why);
}

/* The list goes before its generation: who reads the new number finds the new list. */
static void put_in_force(struct dk_denials *denials, struct dk_deny_list *list) {
    size_t count = dk_deny_list_count(list);
    size_t before = dk_denials_count(denials);
    pthread_mutex_lock(&denials->lock);
    struct dk_deny_list *last = denials->current;
    denials->current = list;
    atomic_store_explicit(&denials->count, count, memory_order_release);
    atomic_fetch_add_explicit(&denials->generation, 1, memory_order_release);
    pthread_mutex_unlock(&denials->lock);
    dk_deny_list_release(last);
    if (count > 0) {
        dk_log_write(denials->log, DK_LOG_CORE, DK_LOG_WARN,
                     "a deny list is in force: entries of doorkeeper.deny.file: %zu", count);
    } else if (before > 0) {
        dk_log_write(denials->log, DK_LOG_CORE, DK_LOG_INFO,
                     "the deny list was emptied: it denies nothing any more");
    }
}

static enum dk_error read_first(struct dk_denials *denials, const struct dk_config *config,
                                struct dk_error_text *why) {
    struct dk_deny_list *list = NULL;
    enum dk_error error = dk_file_watch_init(&denials->file, config, DK_FILE_DENY, why);
    if (error != DK_OK || config->deny_file[0] == '\0') {
        return error;
    }
    error = parse(denials, &denials->file.current, &list, why);
    if (error == DK_OK) {
        put_in_force(denials, list);
    }
    return error;
}

enum dk_error dk_denials_new(const struct dk_config *config, struct dk_log *log,
                             struct dk_denials **out, struct dk_error_text *why) {
    struct dk_denials *denials = aligned_alloc(_Alignof(struct dk_denials), sizeof(*denials));
    *out = NULL;
    if (denials == NULL) {
        return DK_ERR_MEMORY;
    }
    memset(denials, 0, sizeof(*denials));
    atomic_init(&denials->generation, 0);
    atomic_init(&denials->count, 0);
    denials->log = log;
    if (pthread_mutex_init(&denials->lock, NULL) != 0) {
        free(denials);
        return DK_ERR_SYSTEM;
    }
    enum dk_error error = read_first(denials, config, why);
    if (error != DK_OK) {
        dk_denials_destroy(denials);
        return error;
    }
    *out = denials;
    return DK_OK;
}

void dk_denials_destroy(struct dk_denials *denials) {
    if (denials == NULL) {
        return;
    }
    dk_file_watch_clean_up(&denials->file);
    dk_deny_list_release(denials->current);
    pthread_mutex_destroy(&denials->lock);
    free(denials);
}

uint32_t dk_denials_generation(const struct dk_denials *denials) {
    return atomic_load_explicit(&denials->generation, memory_order_acquire);
}

size_t dk_denials_count(const struct dk_denials *denials) {
    return atomic_load_explicit(&denials->count, memory_order_acquire);
}

/* The list in force, to be released; NULL if it is empty. */
static struct dk_deny_list *take_list(struct dk_denials *denials) {
    if (dk_denials_count(denials) == 0) {
        return NULL;
    }
    /* Not a lock for as long as the list is looked through: that would hold up the next list. */
    pthread_mutex_lock(&denials->lock);
    struct dk_deny_list *list = denials->current;
    dk_deny_list_keep(list);
    pthread_mutex_unlock(&denials->lock);
    return list;
}

bool dk_denials_concern(struct dk_denials *denials, const struct dk_context *context) {
    struct dk_deny_list *list = take_list(denials);
    size_t at = 0;
    bool concerned = dk_deny_list_next(list, context, &at) != NULL;
    dk_deny_list_release(list);
    return concerned;
}

/* True if there is anything that the entry denies. */
static bool apply_entry(const struct dk_deny_entry *entry, struct dk_miss *asked, size_t count) {
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        if (dk_deny_entry_fits(entry, &asked[i].action)) {
            asked[i].outcome = DK_DENY;
            asked[i].source = DK_SOURCE_RULE;
            any = true;
        }
    }
    return any;
}

static void say_denied(struct dk_denials *denials, const struct dk_context *context, size_t number,
                       const struct dk_deny_entry *entry) {
    char name[SHOWN_MAX], reason[SHOWN_MAX];
    const char *given = entry->reason[0] == '\0' ? "no reason given" : entry->reason;
    struct dk_bytes asking = context->fields[DK_FIELD_PRINCIPAL_NAME];
    int name_len = (int)dk_bytes_escape(asking, name, sizeof(name));
    int reason_len = (int)dk_bytes_escape(dk_bytes_of(given), reason, sizeof(reason));
    dk_log_write_limited(denials->log, &denials->denied_limit, DK_LOG_INFO,
                         "entry %zu of the deny list denies a request of %.*s: %.*s", number,
                         name_len, name, reason_len, reason);
}

static void apply(struct dk_denials *denials, const struct dk_context *context,
                  struct dk_miss *asked, size_t count, bool quietly) {
    struct dk_deny_list *list = take_list(denials);
    const struct dk_deny_entry *entry;
    size_t at = 0;
    while ((entry = dk_deny_list_next(list, context, &at)) != NULL) {
        if (apply_entry(entry, asked, count) && !quietly) {
            say_denied(denials, context, at, entry);
        }
    }
    dk_deny_list_release(list);
}

void dk_denials_apply(struct dk_denials *denials, const struct dk_context *context,
                      struct dk_miss *asked, size_t count) {
    apply(denials, context, asked, count, false);
}

void dk_denials_apply_quietly(struct dk_denials *denials, const struct dk_context *context,
                              struct dk_miss *asked, size_t count) {
    apply(denials, context, asked, count, true);
}

void dk_denials_look(struct dk_denials *denials) {
    struct dk_error_text why = {""};
    struct dk_deny_list *list = NULL;
    enum dk_file_news news = dk_file_watch_look(&denials->file, &why);
    if (news == DK_FILE_OLD) {
        return;
    }
    if (news == DK_FILE_FAILED || parse(denials, &denials->file.seen, &list, &why) != DK_OK) {
        dk_log_write_limited(denials->log, &denials->broken_limit, DK_LOG_ERROR,
                             "%s; the last good deny list stays in force", why.text);
        return;
    }
    dk_file_watch_accept(&denials->file);
    put_in_force(denials, list);
}
