// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * One HTML file that needs no other: what earlier runs left as JSON, drawn, and the JSON itself.
 * Also writes the plots that the documentation shows, and its tables.
 */
public final class Page {
    private static final String HEAD = """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><title>Doorkeeper: bench</title><style>
            body { font: 15px/1.5 Helvetica, Arial, sans-serif; color: #1f2933; max-width: 60rem;
                   margin: 2rem auto; padding: 0 1rem }
            pre { background: #f5f7fa; padding: 1rem; overflow: auto; max-height: 30rem }
            svg { max-width: 100%; height: auto }
            </style></head><body>
            <h1>Doorkeeper: bench</h1>
            <p>Compare figures of one run; how to read them: docs/internals/bench.md.</p>
            """;

    private final ObjectMapper mapper = new ObjectMapper();
    private final Path directory;
    private final Path images;
    private final StringBuilder html = new StringBuilder(HEAD);
    private final Tables tables = new Tables();

    private Page(Path directory, Path images) {
        this.directory = directory;
        this.images = images;
    }

    /** Arguments: where the JSON is and the page goes, and where the plots go. */
    public static void main(String[] arguments) throws IOException {
        new Page(Path.of(arguments[0]), Path.of(arguments[1])).write();
    }

    private void write() throws IOException {
        Path jvm = directory.resolve("jvm.json");
        if (Files.exists(jvm)) {
            Report report = mapper.readValue(jvm.toFile(), Report.class);
            add("Hits", image("hit-cost.svg", new HitPlot(report).draw()));
            add("Misses", new LatencyPlot(report).draw());
            tables.jvm(report);
        }
        Path change = directory.resolve("change.json");
        if (Files.exists(change)) {
            ChangeReport report = mapper.readValue(change.toFile(), ChangeReport.class);
            add("A changed policy",
                    image("policy-change.svg", new ChangePlot(report).draw()));
        }
        Path outage = directory.resolve("outage.json");
        if (Files.exists(outage)) {
            OutageReport report = mapper.readValue(outage.toFile(), OutageReport.class);
            add("An outage of OPA", image("outage.svg", new OutagePlot(report).draw()));
        }
        Path broker = directory.resolve("broker.json");
        if (Files.exists(broker)) {
            tables.broker(mapper.readTree(broker.toFile()));
        }
        add("Tables", "<pre>" + Svg.escaped(tables.toString()) + "</pre>\n");
        addRaw();
        Path page = directory.resolve("report.html");
        Files.writeString(page, html + "</body></html>\n");
        Path markdown = directory.resolve("tables.md");
        Files.writeString(markdown, tables.toString());
        System.out.println(page + "\n" + markdown);
    }

    private void add(String title, String content) {
        html.append("<h2>").append(title).append("</h2>\n").append(content);
    }

    private String image(String name, String svg) throws IOException {
        Path file = images.resolve(name);
        Files.writeString(file, svg);
        System.out.println(file);
        return svg;
    }

    private void addRaw() throws IOException {
        for (Path file : jsonFiles()) {
            html.append("<details><summary>").append(file.getFileName())
                    .append("</summary><pre>").append(Svg.escaped(Files.readString(file)))
                    .append("</pre></details>\n");
        }
    }

    private List<Path> jsonFiles() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.filter(file -> file.toString().endsWith(".json")).sorted().toList();
        }
    }
}
