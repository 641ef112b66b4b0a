// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.Arrays;
import java.util.List;

/** How long somebody waited, by the clock: microseconds that so many percent do not exceed. */
record Latency(String who, double minUs, List<Point> points) {
    private static final double[] PERCENTS =
            {1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 99.5, 99.9, 100};

    record Point(double percent, double us) {
    }

    static Latency of(String who, double[] micros) {
        return new Latency(who, Spread.of(micros).min(), Arrays.stream(PERCENTS)
                .mapToObj(percent -> new Point(percent, Spread.quantile(micros, percent / 100)))
                .toList());
    }

    double at(double percent) {
        return points.stream().filter(point -> point.percent() == percent).findFirst()
                .orElseThrow().us();
    }

    /** The minimum and the median. */
    Spread spread() {
        return new Spread(minUs, at(50));
    }
}
