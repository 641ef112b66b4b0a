// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.Locale;

/**
 * How hits are asked for. {@code questions}: different ones, of which each call asks some;
 * {@code sharedNames}: the names are strings that the broker has already, as those of Metadata for
 * all topics are; otherwise they are decoded for each request.
 */
record Row(int questions, int actions, int threads, boolean sharedNames) {
    String title() {
        return String.format(Locale.ROOT, "%,d questions, %,d %s a call, %d %s%s", questions,
                actions, actions == 1 ? "action" : "actions", threads,
                threads == 1 ? "thread" : "threads", sharedNames ? ", shared names" : "");
    }
}
