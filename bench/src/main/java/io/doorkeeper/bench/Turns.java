// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.io.IOException;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Those who are compared, one after the other. Their order changes from turn to turn by chance, so
 * that nobody always finds what the same one has left behind.
 */
final class Turns {
    private final Random order = new Random(1);

    /** Something that takes time and may fail. */
    interface Step {
        void run() throws IOException;
    }

    /** How long each took, in their order here. */
    double[] nanos(Step... steps) throws IOException {
        List<Integer> turn = IntStream.range(0, steps.length).boxed().collect(Collectors.toList());
        Collections.shuffle(turn, order);
        double[] took = new double[steps.length];
        for (int step : turn) {
            long start = System.nanoTime();
            steps[step].run();
            took[step] = System.nanoTime() - start;
        }
        return took;
    }
}
