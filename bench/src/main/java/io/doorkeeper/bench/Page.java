// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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
            table { border-collapse: collapse; margin: 1rem 0 }
            td, th { padding: .2rem .8rem; border-bottom: 1px solid #e4e7eb; text-align: right }
            td:first-child, th:first-child { text-align: left }
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
        Path broker = directory.resolve("broker.json");
        if (Files.exists(broker)) {
            JsonNode report = mapper.readTree(broker.toFile());
            add("A real broker", table(report));
            tables.broker(report);
        }
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

    /** Of bench/broker: rows of minimum and median by column. */
    private static String table(JsonNode report) {
        Map<String, StringBuilder> tables = new LinkedHashMap<>();
        for (JsonNode row : report.get("summary")) {
            JsonNode columns = row.get("columns");
            tables.computeIfAbsent(row.get("table").asText(), title -> head(title, columns))
                    .append("<tr><td>").append(Svg.escaped(row.get("what").asText()))
                    .append("</td>").append(cells(columns)).append("</tr>\n");
        }
        StringBuilder all = new StringBuilder();
        tables.values().forEach(table -> all.append(table).append("</table>\n"));
        return all.toString();
    }

    private static StringBuilder head(String title, JsonNode columns) {
        StringBuilder head = new StringBuilder("<table><tr><th>").append(Svg.escaped(title))
                .append("</th>");
        columns.fieldNames().forEachRemaining(
                name -> head.append("<th>").append(Svg.escaped(name)).append("</th>"));
        return head.append("</tr>\n");
    }

    private static String cells(JsonNode columns) {
        StringBuilder cells = new StringBuilder();
        for (JsonNode spread : columns) {
            cells.append("<td>").append(Report.number(spread.get("min").asDouble()))
                    .append(" / ").append(Report.number(spread.get("median").asDouble()))
                    .append("</td>");
        }
        return cells.toString();
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
