// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

/** The part of a run that is drawn. */
record Seconds(int from, int to) {
    boolean hold(double second) {
        return second >= from && second <= to;
    }
}
