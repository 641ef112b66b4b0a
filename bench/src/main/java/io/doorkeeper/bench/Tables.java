// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.stream.Stream;

/** The tables of docs/performance.md, in Markdown. */
final class Tables {
    private final StringBuilder out = new StringBuilder();

    @Override
    public String toString() {
        return out.toString();
    }

    void jvm(Report report) {
        out.append(String.format(Locale.ROOT, "JDK %s, Kafka %s, %s, %d processors.%n",
                report.java(), report.kafka(), report.architecture(), report.processors()));
        for (int threads : new int[] {1, 2, 8}) {
            Row like = new Row(0, 0, threads, false);
            hits(report, "CPU ns an action: Doorkeeper's, and times as much, minimum / median,"
                    + " threads: " + threads, like, Tables::cost);
            hits(report, "Clock ns from one action's end to the next, minimum / median, threads: "
                    + threads, like, hit -> Report.numbers(hit.clockNanos()));
        }
        hits(report, "Bytes allocated in a call", new Row(0, 0, 1, false),
                hit -> Report.number(hit.bytesPerCall()));
        hits(report, "CPU ns an action with shared names, minimum / median",
                new Row(0, 0, 1, true), hit -> Report.numbers(hit.cpuNanos()));
        misses(report);
    }

    private static String cost(HitBench.Hit hit) {
        return Report.numbers(hit.column() == Column.DOORKEEPER
                ? hit.cpuNanos() : hit.timesDoorkeeper());
    }

    /** One line for each row with the threads and names of {@code like}. */
    private void hits(Report report, String title, Row like,
                      Function<HitBench.Hit, String> cell) {
        title(title);
        line(Stream.concat(Stream.of("questions", "actions a call"),
                Arrays.stream(Column.values()).map(Column::label)).toList());
        rule(2 + Column.values().length);
        report.hits().stream().map(HitBench.Hit::row).distinct()
                .filter(row -> row.threads() == like.threads()
                        && row.sharedNames() == like.sharedNames())
                .forEach(row -> line(Stream.concat(
                        Stream.of(whole(row.questions()), whole(row.actions())),
                        report.hits().stream().filter(hit -> hit.row().equals(row)).map(cell))
                        .toList()));
    }

    private void misses(Report report) {
        title("One cold action, us");
        line(List.of("", "minimum", "median", "p99", "p99.9"));
        rule(5);
        for (Latency one : report.oneMiss()) {
            line(List.of(one.who(), Report.number(one.minUs()), Report.number(one.at(50)),
                    Report.number(one.at(99)), Report.number(one.at(99.9))));
        }
        title("Cold lists, one for each thread, ms, minimum / median");
        line(List.of("topics", "threads", "Doorkeeper", "plugin", "times", "requests to OPA"));
        rule(6);
        for (MissBench.Miss miss : report.listMisses()) {
            line(List.of(whole(miss.row().actions()), whole(miss.row().threads()),
                    Report.numbers(miss.doorkeeperMs()), Report.numbers(miss.pluginMs()),
                    Report.numbers(miss.pluginTimesDoorkeeper()),
                    Report.number(miss.httpRequests())));
        }
    }

    /** Of bench/broker. */
    void broker(JsonNode report) {
        String table = "";
        for (JsonNode row : report.get("summary")) {
            List<String> cells = new ArrayList<>();
            if (!table.equals(row.get("table").asText())) {
                table = row.get("table").asText();
                title("Broker, " + table + ", minimum / median");
                cells.add("");
                row.get("columns").fieldNames().forEachRemaining(cells::add);
                line(cells);
                rule(cells.size());
                cells.clear();
            }
            cells.add(row.get("what").asText());
            for (JsonNode spread : row.get("columns")) {
                cells.add(Report.number(spread.get("min").asDouble()) + " / "
                        + Report.number(spread.get("median").asDouble()));
            }
            line(cells);
        }
    }

    private void title(String title) {
        out.append("\n**").append(title).append("**\n\n");
    }

    private void line(List<String> cells) {
        out.append("| ").append(String.join(" | ", cells)).append(" |\n");
    }

    private void rule(int columns) {
        out.append("| --- ").append("| ---: ".repeat(columns - 1)).append("|\n");
    }

    private static String whole(int number) {
        return String.format(Locale.ROOT, "%,d", number);
    }
}
