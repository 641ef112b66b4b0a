// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

/** A line of the report. {@code target} and {@code reached} are empty where nothing is aimed at. */
record Figure(String what, String unit, Spread value, String target, String reached) {
    static Figure of(String what, String unit, Spread value) {
        return new Figure(what, unit, value, "", "");
    }

    static Figure atMost(double limit, String what, String unit, Spread value) {
        return new Figure(what, unit, value, "<= " + Report.number(limit),
                reached(value.median() <= limit, value.min() <= limit));
    }

    static Figure atLeast(double limit, String what, String unit, Spread value) {
        return new Figure(what, unit, value, ">= " + Report.number(limit),
                reached(value.median() >= limit, value.min() >= limit));
    }

    private static String reached(boolean byMedian, boolean byMinimum) {
        return byMedian ? "yes" : byMinimum ? "by the minimum" : "no";
    }
}
