/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define BACK_AND_ERASE "\r\033[K"

void dk_console_init(struct dk_console *console, bool quiet) {
    pthread_mutex_init(&console->lock, NULL);
    console->is_terminal = isatty(STDERR_FILENO) == 1;
    console->quiet = quiet;
    console->pending = false;
}

void dk_console_clean_up(struct dk_console *console) {
    dk_console_clear(console);
    pthread_mutex_destroy(&console->lock);
}

static void clear(struct dk_console *console) {
    if (console->pending) {
        (void)fputs(BACK_AND_ERASE, stderr);
        console->pending = false;
    }
}

void dk_console_line(struct dk_console *console, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&console->lock);
    clear(console);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    pthread_mutex_unlock(&console->lock);
    va_end(arguments);
}

void dk_console_progress(struct dk_console *console, const char *format, ...) {
    va_list arguments;
    if (console->quiet) {
        return;
    }
    va_start(arguments, format);
    pthread_mutex_lock(&console->lock);
    clear(console);
    (void)vfprintf(stderr, format, arguments);
    if (!console->is_terminal) {
        (void)fputc('\n', stderr);
    }
    (void)fflush(stderr);
    console->pending = console->is_terminal;
    pthread_mutex_unlock(&console->lock);
    va_end(arguments);
}

void dk_console_clear(struct dk_console *console) {
    pthread_mutex_lock(&console->lock);
    clear(console);
    (void)fflush(stderr);
    pthread_mutex_unlock(&console->lock);
}
