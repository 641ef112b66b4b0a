/* SPDX-License-Identifier: Apache-2.0 */
#include "local_opa.h"

#include "doorkeeper/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS 60000
#define END_MS 5000
#define LOOK_MS 20

static void path_in(const struct dk_local_opa *opa, const char *name, char out[4200]) {
    snprintf(out, 4200, "%s/%s", opa->directory, name);
}

static enum dk_error make_directory(struct dk_local_opa *opa, struct dk_error_text *why) {
    const char *base = getenv("TMPDIR");
    if (base == NULL || base[0] != '/') {
        base = "/tmp";
    }
    int len = snprintf(opa->directory, sizeof(opa->directory), "%s/doorkeeper-XXXXXX", base);
    if (len < 0 ||
        (size_t)len + sizeof("/opa.sock") > sizeof(((struct sockaddr_un *)0)->sun_path)) {
        opa->directory[0] = '\0';
        return dk_fail(why, DK_ERR_CONFIG, "TMPDIR: too long for the path of a Unix socket");
    }
    if (mkdtemp(opa->directory) == NULL) { /* makes it with mode 0700 */
        opa->directory[0] = '\0';
        return dk_fail(why, DK_ERR_SYSTEM, "no temporary directory in %s", base);
    }
    snprintf(opa->url, sizeof(opa->url), "unix:%s/opa.sock", opa->directory);
    return DK_OK;
}

/* In the child: never returns. */
static void become_opa(const char *binary, const char *bundle, const struct dk_local_opa *opa,
                       int log, pid_t parent) {
    char address[4300];
    snprintf(address, sizeof(address), "unix://%s/opa.sock", opa->directory);
    const char *const arguments[] = {binary,
                                     "run",
                                     "--server",
                                     "--addr",
                                     address,
                                     "--log-level",
                                     "error",
                                     "--skip-version-check",
                                     "--skip-verify",
                                     "--bundle",
                                     "--",
                                     bundle,
                                     NULL};
    int null = open("/dev/null", O_RDONLY);
    /* A session of its own, so that Ctrl-C reaches only us, and an end with us if we are killed. */
    (void)setsid();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && null >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
        dup2(log, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0) {
        (void)execvp(binary, (char *const *)arguments);
    }
    dprintf(STDERR_FILENO, "%s: %s", binary, strerror(errno));
    _exit(127);
}

static enum dk_error spawn(const char *binary, const char *bundle, struct dk_local_opa *opa,
                           struct dk_error_text *why) {
    char log_path[4200];
    path_in(opa, "opa.log", log_path);
    int log = open(log_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (log < 0) {
        return dk_fail(why, DK_ERR_SYSTEM, "no file for OPA's log");
    }
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become_opa(binary, bundle, opa, log, parent);
    }
    (void)close(log);
    if (pid < 0) {
        return dk_fail(why, DK_ERR_SYSTEM, "no process for OPA");
    }
    opa->pid = pid;
    return DK_OK;
}

static bool takes_connections(const struct dk_local_opa *opa) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/opa.sock", opa->directory);
    bool connected = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
    (void)close(fd);
    return connected;
}

/* True if the process has ended; it is ours no more then. */
static bool has_ended(struct dk_local_opa *opa) {
    if (opa->pid == 0 || waitpid(opa->pid, NULL, WNOHANG) == 0) {
        return opa->pid == 0;
    }
    opa->pid = 0;
    return true;
}

/* OPA's last words. */
static enum dk_error fail_by_log(const struct dk_local_opa *opa, const char *what,
                                 struct dk_error_text *why) {
    char log_path[4200];
    uint8_t words[1024];
    char escaped[420];
    path_in(opa, "opa.log", log_path);
    int log = open(log_path, O_RDONLY | O_CLOEXEC);
    ssize_t got = log >= 0 ? read(log, words, sizeof(words)) : 0;
    if (log >= 0) {
        (void)close(log);
    }
    while (got > 0 && words[got - 1] <= ' ') {
        got--;
    }
    size_t len = dk_bytes_escape((struct dk_bytes){words, got > 0 ? (size_t)got : 0}, escaped,
                                 sizeof(escaped));
    return dk_fail(why, DK_ERR_SYSTEM, "%s: %.*s", what, (int)len, escaped);
}

static enum dk_error wait_until_ready(struct dk_local_opa *opa, bool (*is_stopped)(void),
                                      struct dk_error_text *why) {
    int64_t until_ms = dk_clock_ms() + START_MS;
    while (!takes_connections(opa)) {
        if (has_ended(opa)) {
            return fail_by_log(opa, "OPA did not start", why);
        }
        if (is_stopped != NULL && is_stopped()) {
            return dk_fail(why, DK_ERR_CLOSED, "stopped");
        }
        if (dk_clock_ms() > until_ms) {
            return fail_by_log(opa, "OPA takes no connections", why);
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
    return DK_OK;
}

enum dk_error dk_local_opa_start(const char *binary, const char *bundle, bool (*is_stopped)(void),
                                 struct dk_local_opa *out, struct dk_error_text *why) {
    memset(out, 0, sizeof(*out));
    enum dk_error error = make_directory(out, why);
    if (error == DK_OK) {
        error = spawn(binary, bundle, out, why);
    }
    if (error == DK_OK) {
        error = wait_until_ready(out, is_stopped, why);
    }
    if (error != DK_OK) {
        dk_local_opa_stop(out);
    }
    return error;
}

static void end_process(struct dk_local_opa *opa) {
    int64_t until_ms = dk_clock_ms() + END_MS;
    if (has_ended(opa)) {
        return;
    }
    (void)kill(opa->pid, SIGTERM);
    while (!has_ended(opa) && dk_clock_ms() < until_ms) {
        (void)poll(NULL, 0, LOOK_MS);
    }
    if (opa->pid != 0) {
        (void)kill(opa->pid, SIGKILL);
        (void)waitpid(opa->pid, NULL, 0);
        opa->pid = 0;
    }
}

void dk_local_opa_stop(struct dk_local_opa *opa) {
    static const char *const files[] = {"opa.sock", "opa.log"};
    char path[4200];
    end_process(opa);
    if (opa->directory[0] == '\0') {
        return;
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        path_in(opa, files[i], path);
        (void)unlink(path);
    }
    (void)rmdir(opa->directory);
    opa->directory[0] = '\0';
}
