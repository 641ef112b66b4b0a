// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * What a question costs that has been asked before. Short rounds go from column to column, so that
 * whatever else the machine does disturbs all of them alike.
 */
final class HitBench implements AutoCloseable {
    private static final int[] ACTIONS = {1, 100};
    private static final long ROUND_MS = 100;

    private final Map<Column, Worker> workers = new EnumMap<>(Column.class);
    private final int warmUpRounds;
    private final int rounds;

    HitBench(Bench.Options options, String opaUrl) throws IOException {
        warmUpRounds = options.brief() ? 10 : 15;
        rounds = options.brief() ? 9 : 21;
        for (Column column : Column.values()) {
            workers.put(column, new Worker(column, opaUrl, options.library(), options.directory()));
        }
    }

    /** One cell of the table. */
    record Hit(int questions, int actions, Column column, Spread nanosPerAction,
               Spread timesDoorkeeper, double bytesPerCall) {
    }

    List<Hit> measure(int questions) throws IOException {
        for (Worker worker : workers.values()) {
            worker.startPreparing(questions);
        }
        workers.values().forEach(Worker::awaitPrepared);
        List<Hit> hits = new ArrayList<>();
        for (int actions : ACTIONS) {
            hits.addAll(measure(questions, actions));
        }
        return hits;
    }

    private List<Hit> measure(int questions, int actions) throws IOException {
        Map<Column, List<Worker.Round>> measured = takeTurns(actions);
        Spread doorkeeper = nanos(measured.get(Column.DOORKEEPER));
        List<Hit> hits = new ArrayList<>();
        measured.forEach((column, own) -> hits.add(new Hit(questions, actions, column, nanos(own),
                nanos(own).times(doorkeeper), bytes(own).median())));
        return hits;
    }

    private Map<Column, List<Worker.Round>> takeTurns(int actions) throws IOException {
        Map<Column, List<Worker.Round>> measured = new EnumMap<>(Column.class);
        workers.keySet().forEach(column -> measured.put(column, new ArrayList<>()));
        for (int round = -warmUpRounds; round < rounds; round++) {
            for (Column column : workers.keySet()) {
                Worker.Round one = workers.get(column).round(actions, ROUND_MS);
                if (round >= 0) {
                    measured.get(column).add(one);
                }
            }
        }
        return measured;
    }

    private static Spread nanos(List<Worker.Round> rounds) {
        return Spread.of(rounds.stream().mapToDouble(Worker.Round::nanosPerAction).toArray());
    }

    private static Spread bytes(List<Worker.Round> rounds) {
        return Spread.of(rounds.stream().mapToDouble(Worker.Round::bytesPerCall).toArray());
    }

    @Override
    public void close() throws IOException, InterruptedException {
        for (Worker worker : workers.values()) {
            worker.close();
        }
    }
}
