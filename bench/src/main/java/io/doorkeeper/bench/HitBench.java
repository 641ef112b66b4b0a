// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/**
 * What a question costs that has been asked before. Short rounds go from column to column, so that
 * whatever else the machine does disturbs all of them alike.
 */
final class HitBench implements AutoCloseable {
    private static final long ROUND_MS = 100;
    /** Until everything is compiled, and again where only the numbers are others. */
    private static final int FIRST_WARM_UP_ROUNDS = 40;
    private static final int WARM_UP_ROUNDS = 5;

    private final YesServer yes = new YesServer();
    private final Map<Column, Worker> workers = new EnumMap<>(Column.class);
    private final Plan plan;
    private int warmUpRounds = FIRST_WARM_UP_ROUNDS;

    HitBench(Bench.Options options, String opaUrl) throws IOException {
        plan = options.plan();
        for (Column column : Column.values()) {
            String url = column == Column.PLUGIN ? yes.url() : opaUrl;
            workers.put(column, new Worker(column, url, options.library(), options.directory()));
        }
    }

    /**
     * One cell of the table. {@code clockNanos}: from one action's end to the next one's, of
     * whichever thread; {@code timesDoorkeeper} is by CPU time.
     */
    record Hit(Row row, Column column, Spread cpuNanos, Spread timesDoorkeeper, Spread clockNanos,
               double bytesPerCall) {
    }

    List<Hit> measure(int questions) throws IOException {
        Report.note("preparing %,d questions", questions);
        for (Worker worker : workers.values()) {
            worker.prepare(questions);
        }
        List<Hit> hits = new ArrayList<>();
        for (Row row : plan.rows(questions)) {
            Report.note(row.title());
            hits.addAll(measure(row));
        }
        return hits;
    }

    private List<Hit> measure(Row row) throws IOException {
        Map<Column, List<Worker.Round>> measured = takeTurns(row);
        Spread doorkeeper = spread(measured.get(Column.DOORKEEPER), Worker.Round::cpuNanos);
        List<Hit> hits = new ArrayList<>();
        measured.forEach((column, own) -> {
            Spread nanos = spread(own, Worker.Round::cpuNanos);
            hits.add(new Hit(row, column, nanos, nanos.times(doorkeeper),
                    spread(own, Worker.Round::clockNanos),
                    spread(own, Worker.Round::bytesPerCall).median()));
        });
        return hits;
    }

    private Map<Column, List<Worker.Round>> takeTurns(Row row) throws IOException {
        Map<Column, List<Worker.Round>> measured = new EnumMap<>(Column.class);
        workers.keySet().forEach(column -> measured.put(column, new ArrayList<>()));
        for (int round = -warmUpRounds; round < plan.rounds(); round++) {
            for (Column column : workers.keySet()) {
                Worker.Round one = workers.get(column).round(row, ROUND_MS);
                if (round >= 0) {
                    measured.get(column).add(one);
                }
            }
        }
        warmUpRounds = WARM_UP_ROUNDS;
        return measured;
    }

    private static Spread spread(List<Worker.Round> rounds,
                                 ToDoubleFunction<Worker.Round> value) {
        return Spread.of(rounds.stream().mapToDouble(value).toArray());
    }

    @Override
    public void close() throws IOException, InterruptedException {
        for (Worker worker : workers.values()) {
            worker.close();
        }
        yes.close();
    }
}
