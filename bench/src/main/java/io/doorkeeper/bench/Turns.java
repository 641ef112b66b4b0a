// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.io.IOException;

/** Those who are compared, one after the other; who begins changes from turn to turn. */
final class Turns {
    private Turns() {
    }

    /** Something that takes time and may fail. */
    interface Step {
        void run() throws IOException;
    }

    /** How long each took, in their order here. */
    static double[] nanos(int turn, Step... steps) throws IOException {
        double[] took = new double[steps.length];
        for (int i = 0; i < steps.length; i++) {
            int step = Math.floorMod(turn + i, steps.length);
            long start = System.nanoTime();
            steps[step].run();
            took[step] = System.nanoTime() - start;
        }
        return took;
    }
}
