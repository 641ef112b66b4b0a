/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The natives of io.doorkeeper.kafka.NativeCore: JNI types to core types and back. No policy, no
 * state but the table of cores. Whatever Java passes, a length is checked against its array before
 * anything is read, and every way out that is not an answer denies.
 */
#include "core_table.h"
#include "doorkeeper/identity.h"
#include "doorkeeper/log.h"

#include <jni.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Raised with every change to a native method's signature or to a record's format. */
#define ABI_VERSION 5

#define STACK_REQUEST_MAX 16384
#define REQUEST_MAX (64 * 1024 * 1024)
#define SETTING_TEXT_MAX (1024 * 1024)
/* Longer than doorkeeper.start.wait.ms may be, and short enough to be added to any clock. */
#define WAIT_READY_MAX_MS (INT64_C(24) * 3600 * 1000)

enum probe_result { PROBE_STALE = -1, PROBE_REFUSED = -2, PROBE_LATE = 1 << 30 };
enum setting {
    SETTING_FIELDS = 0,
    SETTING_START_WAIT_MS = 1,
    SETTING_PROBE_MAX = 2,
    SETTING_LET_RETRY = 3,
    SETTING_FETCH_PAUSE_MS = 4,
    SETTING_AUDIT_MASK = 5,
};

/* JNI wants "modified UTF-8", which has no characters of four bytes. */
static void put_question_marks(char *text) {
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0xf0) {
            continue;
        }
        *at = '?';
        for (int i = 0; i < 3 && ((unsigned char)at[1] & 0xc0) == 0x80; i++) {
            *++at = '?';
        }
    }
}

static void throw_new(JNIEnv *env, const char *class_name, const char *text) {
    struct dk_error_text copy;
    (void)dk_fail(&copy, DK_OK, "%s", text);
    put_question_marks(copy.text);
    jclass class = (*env)->FindClass(env, class_name);
    if (class != NULL) {
        (*env)->ThrowNew(env, class, copy.text);
        (*env)->DeleteLocalRef(env, class);
    }
}

static void throw_why(JNIEnv *env, enum dk_error error, const struct dk_error_text *why) {
    throw_new(env, "java/lang/IllegalArgumentException",
              why->text[0] != '\0' ? why->text : dk_strerror(error));
}

/* A copy of a Java array's front, on the heap if it is large. */
struct copy {
    struct dk_bytes bytes;
    uint8_t *heap;
};

/* Copies `len` bytes of `array` into `room` or, if they do not fit, onto the heap. */
static bool copy_array(JNIEnv *env, jbyteArray array, jint len, uint8_t *room, jint room_len,
                       struct copy *out) {
    out->heap = NULL;
    if (array == NULL || len < 0 || len > REQUEST_MAX || len > (*env)->GetArrayLength(env, array)) {
        return false;
    }
    uint8_t *target = room;
    if (len > room_len) {
        out->heap = malloc((size_t)len);
        target = out->heap;
        if (target == NULL) {
            return false;
        }
    }
    (*env)->GetByteArrayRegion(env, array, 0, len, (jbyte *)target);
    out->bytes = (struct dk_bytes){target, (size_t)len};
    return true;
}

static bool copy_whole_array(JNIEnv *env, jbyteArray array, uint8_t *room, jint room_len,
                             struct copy *out) {
    jint len = array == NULL ? -1 : (*env)->GetArrayLength(env, array);
    return copy_array(env, array, len, room, room_len, out);
}

static jbyteArray new_array(JNIEnv *env, struct dk_bytes bytes) {
    jbyteArray array = (*env)->NewByteArray(env, (jsize)bytes.len);
    if (array != NULL && bytes.len > 0) {
        (*env)->SetByteArrayRegion(env, array, 0, (jsize)bytes.len, (const jbyte *)bytes.ptr);
    }
    return array;
}

static jint JNICALL abi_version(JNIEnv *env, jclass class) {
    (void)env, (void)class;
    return ABI_VERSION;
}

/* The settings as Java passed them: UTF-8 bytes of key and value by turns. */
struct settings {
    struct dk_setting *list;
    size_t count;
};

static void settings_clean_up(struct settings *settings) {
    for (size_t i = 0; i < settings->count; i++) {
        free((void *)settings->list[i].key.ptr);
        free((void *)settings->list[i].value.ptr);
    }
    free(settings->list);
}

static bool copy_element(JNIEnv *env, jobjectArray pairs, jsize index, struct dk_bytes *out) {
    jbyteArray element = (*env)->GetObjectArrayElement(env, pairs, index);
    if (element == NULL) {
        return false;
    }
    jsize len = (*env)->GetArrayLength(env, element);
    uint8_t *ptr = len > SETTING_TEXT_MAX ? NULL : malloc((size_t)len + 1);
    if (ptr != NULL) {
        (*env)->GetByteArrayRegion(env, element, 0, len, (jbyte *)ptr);
        *out = (struct dk_bytes){ptr, (size_t)len};
    }
    (*env)->DeleteLocalRef(env, element);
    return ptr != NULL;
}

static bool copy_settings(JNIEnv *env, jobjectArray pairs, struct settings *out) {
    memset(out, 0, sizeof(*out));
    jsize len = pairs == NULL ? 0 : (*env)->GetArrayLength(env, pairs);
    out->list = calloc((size_t)len / 2 + 1, sizeof(*out->list));
    if (out->list == NULL) {
        return false;
    }
    for (jsize i = 0; i + 1 < len; i += 2) {
        /* Counted first: a pair of which one half failed is freed as well. */
        struct dk_setting *setting = &out->list[out->count++];
        if (!copy_element(env, pairs, i, &setting->key) ||
            !copy_element(env, pairs, i + 1, &setting->value)) {
            return false;
        }
    }
    return true;
}

static jlong JNICALL create(JNIEnv *env, jclass class, jobjectArray pairs) {
    (void)class;
    struct settings settings;
    if (!copy_settings(env, pairs, &settings)) {
        settings_clean_up(&settings);
        throw_new(env, "java/lang/IllegalArgumentException", "settings could not be copied");
        return 0;
    }
    struct dk_error_text why = {""};
    struct dk_config config;
    struct dk_authorizer *authorizer = NULL;
    enum dk_error error = dk_config_parse(settings.list, settings.count, &config, &why);
    if (error == DK_OK) {
        error = dk_authorizer_new(&config, &authorizer, &why);
    }
    settings_clean_up(&settings);
    if (error != DK_OK) {
        throw_why(env, error, &why);
        return 0;
    }
    int64_t handle = core_table_add(authorizer);
    if (handle == 0) {
        dk_authorizer_destroy(authorizer);
        throw_new(env, "java/lang/IllegalStateException",
                  "too many authorizers with different settings in one process");
    }
    return handle;
}

static jlong JNICALL setting(JNIEnv *env, jclass class, jlong core, jint which) {
    (void)env, (void)class;
    struct dk_authorizer *authorizer = core_table_enter(core);
    if (authorizer == NULL) {
        return 0;
    }
    const struct dk_config *config = dk_authorizer_config(authorizer);
    jlong value = 0;
    switch ((enum setting)which) {
    case SETTING_FIELDS:
        value = config->question_fields;
        break;
    case SETTING_START_WAIT_MS:
        value = config->start_wait_ms;
        break;
    case SETTING_PROBE_MAX:
        value = DK_PROBE_MAX;
        break;
    case SETTING_LET_RETRY:
        value = (config->on_unavailable & DK_LET_RETRY) != 0;
        break;
    case SETTING_FETCH_PAUSE_MS:
        value = config->fetch_pause_ms;
        break;
    case SETTING_AUDIT_MASK:
        value = dk_authorizer_audit_mask(authorizer);
        break;
    }
    core_table_leave(core);
    return value;
}

static void JNICALL set_cluster_id(JNIEnv *env, jclass class, jlong core, jbyteArray id) {
    (void)class;
    uint8_t room[256];
    struct copy copy;
    if (!copy_whole_array(env, id, room, sizeof(room), &copy)) {
        return;
    }
    struct dk_authorizer *authorizer = core_table_enter(core);
    if (authorizer != NULL) {
        /* Without it polls carry no cluster id, which no shipped policy minds. */
        (void)!dk_authorizer_set_cluster_id(authorizer, copy.bytes);
        core_table_leave(core);
    }
    free(copy.heap);
}

static void JNICALL run(JNIEnv *env, jclass class, jlong core) {
    (void)env, (void)class;
    struct dk_authorizer *authorizer = core_table_enter(core);
    if (authorizer != NULL) {
        dk_authorizer_run(authorizer);
        core_table_leave(core);
    }
}

static jint JNICALL drain(JNIEnv *env, jclass class, jlong core, jbyteArray buffer,
                          jint timeout_ms) {
    (void)class;
    uint8_t lines[STACK_REQUEST_MAX];
    if (buffer == NULL) {
        return -1;
    }
    jint capacity = (*env)->GetArrayLength(env, buffer);
    if (capacity > (jint)sizeof(lines)) {
        capacity = sizeof(lines);
    }
    struct dk_authorizer *authorizer = core_table_enter(core);
    if (authorizer == NULL) {
        return -1;
    }
    size_t written = dk_authorizer_drain(authorizer, lines, (size_t)capacity, timeout_ms);
    core_table_leave(core);
    (*env)->SetByteArrayRegion(env, buffer, 0, (jsize)written, (const jbyte *)lines);
    return (jint)written;
}

static void JNICALL set_audit(JNIEnv *env, jclass class, jlong core, jint mask) {
    (void)env, (void)class;
    struct dk_authorizer *authorizer = core_table_enter(core);
    if (authorizer != NULL) {
        dk_authorizer_set_audit(authorizer, (uint32_t)mask);
        core_table_leave(core);
    }
}

static void JNICALL log_line(JNIEnv *env, jclass class, jlong core, jint level, jbyteArray text) {
    (void)class;
    uint8_t room[4 * DK_LOG_LINE_MAX];
    char escaped[DK_LOG_LINE_MAX];
    struct copy copy;
    if (level < DK_LOG_ERROR || level > DK_LOG_DEBUG ||
        !copy_whole_array(env, text, room, sizeof(room), &copy)) {
        return;
    }
    struct dk_authorizer *authorizer = core_table_enter(core);
    if (authorizer != NULL) {
        size_t len = dk_bytes_escape(copy.bytes, escaped, sizeof(escaped));
        dk_log_write(dk_authorizer_log(authorizer), DK_LOG_CORE, (enum dk_log_level)level, "%.*s",
                     (int)len, escaped);
        core_table_leave(core);
    }
    free(copy.heap);
}

static jlong JNICALL register_context(JNIEnv *env, jclass class, jlong core, jbyteArray context,
                                      jint len) {
    (void)class;
    uint8_t room[STACK_REQUEST_MAX];
    struct copy copy;
    if (!copy_array(env, context, len, room, sizeof(room), &copy)) {
        return 0;
    }
    uint64_t handle = 0;
    struct dk_authorizer *authorizer = core_table_enter(core);
    if (authorizer != NULL) {
        if (dk_authorizer_register(authorizer, copy.bytes, &handle) != DK_OK) {
            handle = 0;
        }
        core_table_leave(core);
    }
    free(copy.heap);
    return (jlong)handle;
}

static jint probe_request(struct dk_authorizer *authorizer, jlong handle, struct dk_bytes request,
                          dk_answer answers[DK_PROBE_MAX], size_t *count) {
    struct dk_probed found;
    enum dk_error error =
        dk_authorizer_probe(authorizer, (uint64_t)handle, request, answers, &found);
    *count = found.count;
    if (error != DK_OK) {
        return error == DK_ERR_STALE ? PROBE_STALE : PROBE_REFUSED;
    }
    return (jint)found.not_allowed | (found.late > 0 ? PROBE_LATE : 0);
}

/* Whether somebody reads the answers where all of them allow. */
static bool is_all_allowed_read(const struct dk_authorizer *authorizer,
                                const dk_answer answers[DK_PROBE_MAX], size_t count) {
    uint32_t readers = DK_AUDIT_ALLOWED | DK_AUDIT_RECORD_ALLOWED;
    /* The cache answers a whole probe, or a rule does. */
    if (count > 0 && DK_ANSWER_SOURCE(answers[0]) != DK_SOURCE_CACHE) {
        readers |= DK_AUDIT_RECORD_UNCACHED;
    }
    return (dk_authorizer_audit_mask(authorizer) & readers) != 0;
}

static jint JNICALL probe(JNIEnv *env, jclass class, jlong core, jlong handle, jbyteArray request,
                          jint len, jbyteArray answers) {
    (void)class;
    uint8_t room[STACK_REQUEST_MAX];
    dk_answer found[DK_PROBE_MAX];
    size_t count = 0;
    struct copy copy;
    if (!copy_array(env, request, len, room, sizeof(room), &copy)) {
        return PROBE_REFUSED;
    }
    jint result = PROBE_REFUSED;
    bool is_read = false;
    struct dk_authorizer *authorizer = core_table_enter(core);
    if (authorizer != NULL) {
        result = probe_request(authorizer, handle, copy.bytes, found, &count);
        is_read = result == 0 && is_all_allowed_read(authorizer, found, count);
        core_table_leave(core);
    }
    free(copy.heap);
    if (result > 0 || is_read) {
        if (answers == NULL || count > (size_t)(*env)->GetArrayLength(env, answers)) {
            return PROBE_REFUSED;
        }
        (*env)->SetByteArrayRegion(env, answers, 0, (jsize)count, (const jbyte *)found);
    }
    return result;
}

static jint JNICALL authorize(JNIEnv *env, jclass class, jlong core, jbyteArray context,
                              jint context_len, jbyteArray request, jint len, jint count,
                              jint deadline_cap_ms, jbyteArray answers) {
    (void)class;
    if (count < 0 || answers == NULL || count > (*env)->GetArrayLength(env, answers)) {
        return -1;
    }
    uint8_t context_room[4096];
    uint8_t request_room[4096];
    struct copy context_copy = {{NULL, 0}, NULL};
    struct copy request_copy = {{NULL, 0}, NULL};
    dk_answer *found = calloc((size_t)count + 1, sizeof(*found));
    jint result = -1;
    if (found != NULL &&
        copy_array(env, context, context_len, context_room, sizeof(context_room), &context_copy) &&
        copy_array(env, request, len, request_room, sizeof(request_room), &request_copy)) {
        struct dk_authorizer *authorizer = core_table_enter(core);
        if (authorizer != NULL) {
            enum dk_error error =
                dk_authorizer_authorize(authorizer, context_copy.bytes, request_copy.bytes,
                                        (size_t)count, deadline_cap_ms, found);
            result = error == DK_OK ? 0 : -1;
            core_table_leave(core);
        }
    }
    if (result == 0) {
        (*env)->SetByteArrayRegion(env, answers, 0, count, (const jbyte *)found);
    }
    free(request_copy.heap);
    free(context_copy.heap);
    free(found);
    return result;
}

static void JNICALL refresh(JNIEnv *env, jclass class, jlong core, jbyteArray context,
                            jint context_len, jbyteArray request, jint len, jint count) {
    (void)class;
    uint8_t context_room[4096];
    uint8_t request_room[4096];
    struct copy context_copy = {{NULL, 0}, NULL};
    struct copy request_copy = {{NULL, 0}, NULL};
    if (count > 0 &&
        copy_array(env, context, context_len, context_room, sizeof(context_room), &context_copy) &&
        copy_array(env, request, len, request_room, sizeof(request_room), &request_copy)) {
        struct dk_authorizer *authorizer = core_table_enter(core);
        if (authorizer != NULL) {
            dk_authorizer_refresh(authorizer, context_copy.bytes, request_copy.bytes,
                                  (size_t)count);
            core_table_leave(core);
        }
    }
    free(request_copy.heap);
    free(context_copy.heap);
}

static void JNICALL audit(JNIEnv *env, jclass class, jlong core, jbyteArray principal,
                          jbyteArray address, jbyteArray api, jbyteArray context, jlong took_ns,
                          jbyteArray request, jint len, jint count, jbyteArray answers) {
    (void)class;
    enum { PRINCIPAL, ADDRESS, API, CONTEXT, REQUEST, ANSWERS, COPIES };
    if (count < 0 || answers == NULL || count > (*env)->GetArrayLength(env, answers)) {
        return;
    }
    uint8_t rooms[COPIES][2048];
    struct copy copies[COPIES] = {{{NULL, 0}, NULL}};
    const jbyteArray whole[] = {principal, address, api, context};
    bool copied =
        copy_array(env, request, len, rooms[REQUEST], sizeof(rooms[0]), &copies[REQUEST]) &&
        copy_array(env, answers, count, rooms[ANSWERS], sizeof(rooms[0]), &copies[ANSWERS]);
    for (size_t i = PRINCIPAL; i <= CONTEXT && copied; i++) {
        copied = (i == CONTEXT && context == NULL) ||
                 copy_whole_array(env, whole[i], rooms[i], sizeof(rooms[0]), &copies[i]);
    }
    struct dk_authorizer *authorizer = copied ? core_table_enter(core) : NULL;
    if (authorizer != NULL) {
        const struct dk_decided_call call = {
            .principal = copies[PRINCIPAL].bytes,
            .address = copies[ADDRESS].bytes,
            .api = copies[API].bytes,
            .context = copies[CONTEXT].bytes,
            .request = copies[REQUEST].bytes,
            .count = (size_t)count,
            .answers = copies[ANSWERS].bytes.ptr,
            .took_ns = took_ns,
        };
        dk_authorizer_audit(authorizer, &call);
        core_table_leave(core);
    }
    for (size_t i = 0; i < COPIES; i++) {
        free(copies[i].heap);
    }
}

static void JNICALL flush(JNIEnv *env, jclass class, jlong core) {
    (void)env, (void)class;
    struct dk_authorizer *authorizer = core_table_enter(core);
    if (authorizer != NULL) {
        dk_authorizer_flush(authorizer);
        core_table_leave(core);
    }
}

static jboolean JNICALL wait_ready(JNIEnv *env, jclass class, jlong core, jlong timeout_ms) {
    (void)env, (void)class;
    struct dk_authorizer *authorizer = core_table_enter(core);
    if (authorizer == NULL) {
        return JNI_FALSE;
    }
    bool ready = dk_authorizer_wait_ready(
        authorizer, timeout_ms < WAIT_READY_MAX_MS ? timeout_ms : WAIT_READY_MAX_MS);
    core_table_leave(core);
    return ready ? JNI_TRUE : JNI_FALSE;
}

static jlong JNICALL metric(JNIEnv *env, jclass class, jlong core, jint which) {
    (void)env, (void)class;
    struct dk_authorizer *authorizer = core_table_enter(core);
    if (authorizer == NULL) {
        return 0;
    }
    jlong value = 0;
    if (which >= 0 && which < DK_METRIC_COUNT) {
        value = (jlong)dk_authorizer_metric(authorizer, (enum dk_metric)which);
    }
    core_table_leave(core);
    return value;
}

static bool put_text(JNIEnv *env, jobjectArray array, jsize index, const char *text) {
    jstring string = (*env)->NewStringUTF(env, text);
    if (string == NULL) {
        return false;
    }
    (*env)->SetObjectArrayElement(env, array, index, string);
    (*env)->DeleteLocalRef(env, string);
    return true;
}

static jobjectArray JNICALL metric_names(JNIEnv *env, jclass class) {
    (void)class;
    jclass string_class = (*env)->FindClass(env, "java/lang/String");
    if (string_class == NULL) {
        return NULL;
    }
    jobjectArray names = (*env)->NewObjectArray(env, 2 * DK_METRIC_COUNT, string_class, NULL);
    if (names == NULL) {
        return NULL;
    }
    for (jsize i = 0; i < DK_METRIC_COUNT; i++) {
        if (!put_text(env, names, 2 * i, dk_metric_name((enum dk_metric)i)) ||
            !put_text(env, names, 2 * i + 1, dk_metric_help((enum dk_metric)i))) {
            return NULL;
        }
    }
    return names;
}

static void JNICALL stop(JNIEnv *env, jclass class, jlong core) {
    (void)env, (void)class;
    struct dk_authorizer *authorizer = core_table_enter(core);
    if (authorizer != NULL) {
        dk_authorizer_stop(authorizer);
        core_table_leave(core);
    }
}

static void JNICALL destroy(JNIEnv *env, jclass class, jlong core) {
    (void)env, (void)class;
    core_table_destroy(core);
}

static bool put_array(JNIEnv *env, jobjectArray arrays, jsize index, struct dk_bytes bytes) {
    jbyteArray array = new_array(env, bytes);
    if (array == NULL) {
        return false;
    }
    (*env)->SetObjectArrayElement(env, arrays, index, array);
    (*env)->DeleteLocalRef(env, array);
    return true;
}

static jobjectArray identity_arrays(JNIEnv *env, const struct dk_identity *identity) {
    jclass bytes_class = (*env)->FindClass(env, "[B");
    if (bytes_class == NULL) {
        return NULL;
    }
    jobjectArray arrays = (*env)->NewObjectArray(env, 3, bytes_class, NULL);
    uint8_t not_after[8];
    dk_write_u64(not_after, (uint64_t)identity->not_after_s);
    if (arrays == NULL || !put_array(env, arrays, 0, dk_writer_view(&identity->subject)) ||
        !put_array(env, arrays, 1, dk_writer_view(&identity->certificate)) ||
        !put_array(env, arrays, 2, (struct dk_bytes){not_after, sizeof(not_after)})) {
        return NULL;
    }
    return arrays;
}

static jobjectArray JNICALL parse_certificate(JNIEnv *env, jclass class, jbyteArray der) {
    (void)class;
    uint8_t room[8192];
    struct copy copy;
    if (!copy_whole_array(env, der, room, sizeof(room), &copy)) {
        throw_new(env, "java/lang/IllegalArgumentException", "no certificate");
        return NULL;
    }
    struct dk_identity identity;
    struct dk_error_text why = {""};
    enum dk_error error = dk_identity_parse(copy.bytes, &identity, &why);
    free(copy.heap);
    if (error != DK_OK) {
        throw_why(env, error, &why);
        return NULL;
    }
    jobjectArray arrays = identity_arrays(env, &identity);
    dk_identity_clean_up(&identity);
    return arrays;
}

static const JNINativeMethod methods[] = {
    {"abiVersion", "()I", (void *)abi_version},
    {"create", "([[B)J", (void *)create},
    {"setting", "(JI)J", (void *)setting},
    {"setClusterId", "(J[B)V", (void *)set_cluster_id},
    {"run", "(J)V", (void *)run},
    {"drain", "(J[BI)I", (void *)drain},
    {"setAudit", "(JI)V", (void *)set_audit},
    {"log", "(JI[B)V", (void *)log_line},
    {"register", "(J[BI)J", (void *)register_context},
    {"probe", "(JJ[BI[B)I", (void *)probe},
    {"authorize", "(J[BI[BIII[B)I", (void *)authorize},
    {"refresh", "(J[BI[BII)V", (void *)refresh},
    {"audit", "(J[B[B[B[BJ[BII[B)V", (void *)audit},
    {"flush", "(J)V", (void *)flush},
    {"waitReady", "(JJ)Z", (void *)wait_ready},
    {"metric", "(JI)J", (void *)metric},
    {"metricNames", "()[Ljava/lang/String;", (void *)metric_names},
    {"stop", "(J)V", (void *)stop},
    {"destroy", "(J)V", (void *)destroy},
    {"parseCertificate", "([B)[[B", (void *)parse_certificate},
};

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM *vm, void *reserved) {
    (void)reserved;
    JNIEnv *env = NULL;
    if ((*vm)->GetEnv(vm, (void **)&env, JNI_VERSION_1_8) != JNI_OK) {
        return JNI_ERR;
    }
    jclass class = (*env)->FindClass(env, "io/doorkeeper/kafka/NativeCore");
    if (class == NULL) {
        return JNI_ERR;
    }
    jint count = (jint)(sizeof(methods) / sizeof(methods[0]));
    jint result = (*env)->RegisterNatives(env, class, methods, count);
    if (result != JNI_OK) {
        (*env)->UnregisterNatives(env, class);
    }
    (*env)->DeleteLocalRef(env, class);
    return result == JNI_OK ? JNI_VERSION_1_8 : JNI_ERR;
}
