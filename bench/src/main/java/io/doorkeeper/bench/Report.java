// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.apache.kafka.common.utils.AppInfoParser;

/** Everything that one run measured, for people and as JSON. */
record Report(String mode, String java, String kafka, String architecture, int processors,
              List<HitBench.Hit> hits, List<Figure> probes, List<Figure> misses) {
    static Report of(Bench.Options options, List<HitBench.Hit> hits, List<Figure> probes,
                     List<Figure> misses) {
        return new Report(options.brief() ? "short" : "full", System.getProperty("java.version"),
                AppInfoParser.getVersion(), System.getProperty("os.arch"),
                Runtime.getRuntime().availableProcessors(), hits, probes, misses);
    }

    void write(Path file) throws IOException {
        new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT)
                .writeValue(file.toFile(), this);
    }

    void print() {
        say("%s run; JDK %s, Kafka %s, %s, %d processors.%nEach figure is minimum / median. Compare"
                + " within this run, not with another one.", mode, java, kafka, architecture,
                processors);
        printHits();
        print("Hits below Java: JNI and C, requests already encoded; CPU time", probes);
        print("Misses: real OPA, shipped policy; wall time", misses);
    }

    private void printHits() {
        say("%nHits: CPU time of the asking thread, Kafka's objects made anew for each request");
        String row = "";
        for (HitBench.Hit hit : hits) {
            String title = String.format(Locale.ROOT, "%,d questions, %d %s a call",
                    hit.questions(), hit.actions(), hit.actions() == 1 ? "action" : "actions");
            if (!title.equals(row)) {
                say("%n  %-36s %17s %19s %16s", title, "ns an action", "times Doorkeeper",
                        "bytes a call");
                row = title;
            }
            say("    %-34s %17s %19s %16s", hit.column().label(), numbers(hit.nanosPerAction()),
                    numbers(hit.timesDoorkeeper()), number(hit.bytesPerCall()));
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

    private static String numbers(Spread spread) {
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
}
