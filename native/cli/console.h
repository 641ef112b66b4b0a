/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file console.h
 * Standard error, shared by a line of progress that is written over and by lines that stay. On a
 * terminal the progress is one line; elsewhere every progress is a line of its own, so whoever
 * calls should then call seldom. Any thread.
 */
#ifndef DOORKEEPER_CLI_CONSOLE_H
#define DOORKEEPER_CLI_CONSOLE_H

#include "doorkeeper/bytes.h"

#include <pthread.h>

struct dk_console {
    pthread_mutex_t lock;
    bool is_terminal;
    bool quiet;   /**< no progress */
    bool pending; /**< a line of progress stands on the terminal */
};

void dk_console_init(struct dk_console *console, bool quiet);
void dk_console_clean_up(struct dk_console *console);
/** A line that stays; must be free of control characters. */
void dk_console_line(struct dk_console *console, const char *format, ...) DK_PRINTF(2, 3);
void dk_console_progress(struct dk_console *console, const char *format, ...) DK_PRINTF(2, 3);
/** Takes the progress off the terminal. */
void dk_console_clear(struct dk_console *console);

#endif
