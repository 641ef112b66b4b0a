/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a deny list: it is refused with a reason, or every entry that it has says something
 * and can be matched. */
#include "doorkeeper/deny_list.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition) {
    if (!condition) {
        abort();
    }
}

/* Asks as a principal with a certificate, or without; both are in the corpus's entries. */
static void ask(const struct dk_deny_list *list, struct dk_bytes certificate) {
    static const struct dk_action write = {
        .operation = 4, .type = 2, .pattern = 3, .named = true, .name = {(const uint8_t *)"a", 1}};
    struct dk_context context;
    memset(&context, 0, sizeof(context));
    context.fields[DK_FIELD_LOCAL_CERTIFICATE] = certificate;
    context.fields[DK_FIELD_PRINCIPAL_TYPE] = dk_bytes_of("User");
    context.fields[DK_FIELD_PRINCIPAL_NAME] = dk_bytes_of("alice");
    size_t at = 0;
    size_t before = 0;
    const struct dk_deny_entry *entry = dk_deny_list_next(list, &context, &at);
    for (; entry != NULL; entry = dk_deny_list_next(list, &context, &at)) {
        require(at > before && at <= dk_deny_list_count(list));
        before = at;
        require(entry->principal.ptr != NULL || entry->sha256.ptr != NULL ||
                entry->serial.ptr != NULL || entry->operation != 0 || entry->type != 0 ||
                entry->name.ptr != NULL);
        require(certificate.ptr != NULL ||
                (entry->sha256.ptr == NULL && entry->serial.ptr == NULL));
        (void)dk_deny_entry_fits(entry, &write);
    }
    require(at == dk_deny_list_count(list));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t certificate[8 + 8 + 32 + 2 + 1] = {0};
    struct dk_deny_list *list = NULL;
    struct dk_error_text why = {""};
    certificate[48] = 1;
    if (dk_deny_list_parse((struct dk_bytes){data, size}, &list, &why) != DK_OK) {
        require(list == NULL && why.text[0] != '\0');
        return 0;
    }
    require(dk_deny_list_count(list) <= DK_DENY_ENTRIES_MAX);
    ask(list, (struct dk_bytes){certificate, sizeof(certificate)});
    ask(list, (struct dk_bytes){NULL, 0});
    dk_deny_list_release(list);
    return 0;
}
