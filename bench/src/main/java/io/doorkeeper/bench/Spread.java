// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.ToDoubleFunction;

/** What is left of many samples. The minimum is what the noise of the machine touched least. */
record Spread(double min, double median) {
    static Spread of(double[] samples) {
        double[] sorted = samples.clone();
        Arrays.sort(sorted);
        int middle = sorted.length / 2;
        double median = sorted.length % 2 == 1
                ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
        return new Spread(sorted[0], median);
    }

    /** The least sample that {@code part} of all samples do not exceed. */
    static double quantile(double[] samples, double part) {
        double[] sorted = samples.clone();
        Arrays.sort(sorted);
        return sorted[(int) Math.ceil(part * sorted.length) - 1];
    }

    /** The one whose value is neither the largest nor the least. */
    static <T> T middle(List<T> all, ToDoubleFunction<T> value) {
        return all.stream().sorted(Comparator.comparingDouble(value)).skip(all.size() / 2)
                .findFirst().orElseThrow();
    }

    /** How often {@code other} fits into this: minimum by minimum, median by median. */
    Spread times(Spread other) {
        return new Spread(min / other.min, median / other.median);
    }
}
