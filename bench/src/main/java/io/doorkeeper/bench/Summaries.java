// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.List;
import java.util.function.ToDoubleFunction;

/** What each of several runs came to. */
record Summaries<S>(List<S> all) {
    Figure figure(String what, String unit, ToDoubleFunction<S> value) {
        return Figure.of(what, unit, spread(value));
    }

    Figure atMost(double limit, String what, String unit, ToDoubleFunction<S> value) {
        return Figure.atMost(limit, what, unit, spread(value));
    }

    private Spread spread(ToDoubleFunction<S> value) {
        return Spread.of(all.stream().mapToDouble(value).toArray());
    }
}
