// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.apache.kafka.common.utils.AppInfoParser;

/** Everything that one run measured, for people and as JSON. */
record Report(String plan, String leftOut, String java, String kafka, String architecture,
              int processors, List<HitBench.Hit> hits, List<Figure> probes,
              List<Latency> oneMiss, List<MissBench.Miss> listMisses, List<Figure> targets) {
    private static final int LONG_LIST = 1000;

    static Report of(Bench.Options options, List<HitBench.Hit> hits, List<Figure> probes,
                     List<Latency> oneMiss, List<MissBench.Miss> listMisses) {
        return new Report(options.plan().label(), options.plan().leftOut(),
                System.getProperty("java.version"), AppInfoParser.getVersion(),
                System.getProperty("os.arch"), Runtime.getRuntime().availableProcessors(), hits,
                probes, oneMiss, listMisses, targets(oneMiss, listMisses));
    }

    private static List<Figure> targets(List<Latency> oneMiss, List<MissBench.Miss> listMisses) {
        Spread list = listMisses.stream()
                .filter(miss -> miss.row().equals(new MissBench.Row(LONG_LIST, 1)))
                .findFirst().orElseThrow().pluginTimesDoorkeeper();
        return List.of(
                Figure.atMost(1.4, "one cold action: Doorkeeper / bare client", "x",
                        oneMiss.get(0).spread().times(oneMiss.get(1).spread())),
                Figure.atLeast(50, "1,000 cold topics: plugin / Doorkeeper", "x", list));
    }

    void write(Path file) throws IOException {
        write(this, file);
    }

    /** As JSON. */
    static void write(Object report, Path file) throws IOException {
        new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT)
                .writeValue(file.toFile(), report);
    }

    /** As JSON, and drawn. */
    static void write(Object report, Path json, String svg, Path plot) throws IOException {
        write(report, json);
        Files.writeString(plot, svg);
        say("%nEvery 100 ms as JSON in %s, drawn in %s", json, plot);
    }

    void print() {
        say("%s run; JDK %s, Kafka %s, %s, %d processors.%nEach figure is minimum / median. Compare"
                + " within this run, not with another one.", plan, java, kafka, architecture,
                processors);
        if (!leftOut.isEmpty()) {
            say(leftOut);
        }
        printHits();
        print("Hits below Java: JNI and C, requests already encoded; CPU time", probes);
        printMisses();
        print("Misses: targets", targets);
    }

    private void printHits() {
        say("%nHits: CPU time of the asking threads, and time by the clock from one action's end to"
                + " the next one's,%nof whichever thread; Kafka's objects made anew for each"
                + " request");
        String format = "%-38s %17s %17s %17s %14s";
        Row row = null;
        for (HitBench.Hit hit : hits) {
            if (!hit.row().equals(row)) {
                row = hit.row();
                say("%n  " + row.title());
                say("    " + format, "", "CPU ns an action", "times Doorkeeper", "clock ns",
                        "bytes a call");
            }
            say("    " + format, hit.column().label(), numbers(hit.cpuNanos()),
                    numbers(hit.timesDoorkeeper()), numbers(hit.clockNanos()),
                    number(hit.bytesPerCall()));
        }
    }

    private void printMisses() {
        say("%nMisses: real OPA, shipped policy; time by the clock%n");
        String latencies = "  %-41s %12s %12s %12s %12s";
        say(latencies, "one cold action, us", "min", "median", "p99", "p99.9");
        for (Latency one : oneMiss) {
            say(latencies, "  " + one.who(), number(one.minUs()), number(one.at(50)),
                    number(one.at(99)), number(one.at(99.9)));
        }
        String lists = "  %-41s %15s %17s %17s %9s";
        say("%n" + lists, "a list of cold topics for each thread, ms", "Doorkeeper", "plugin",
                "times Doorkeeper", "requests");
        for (MissBench.Miss miss : listMisses) {
            String title = String.format(Locale.ROOT, "  %,d topics, %d threads",
                    miss.row().actions(), miss.row().threads());
            say(lists, title, numbers(miss.doorkeeperMs()), numbers(miss.pluginMs()),
                    numbers(miss.pluginTimesDoorkeeper()), number(miss.httpRequests()));
        }
    }

    static void print(String title, List<Figure> figures) {
        String row = "  %-41s %-15s %15s %8s  %s";
        say("%n%s%n", title);
        say(row, "", "", "", "target", "reached");
        for (Figure figure : figures) {
            say(row, figure.what(), figure.unit(), numbers(figure.value()), figure.target(),
                    figure.reached());
        }
    }

    static String numbers(Spread spread) {
        return number(spread.min()) + " / " + number(spread.median());
    }

    /** Three digits are more than the noise leaves. */
    static String number(double value) {
        int decimals = value >= 100 || value == Math.rint(value) ? 0 : value >= 10 ? 1 : 2;
        return String.format(Locale.ROOT, "%,." + decimals + "f", value);
    }

    static void say(String format, Object... values) {
        System.out.println(String.format(Locale.ROOT, format, values));
    }

    /** What the run is at, for who waits. */
    static void note(String format, Object... values) {
        System.err.println(String.format(Locale.ROOT, format, values));
    }
}
