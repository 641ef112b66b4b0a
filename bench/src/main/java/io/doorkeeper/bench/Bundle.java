// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.io.IOException;
import java.io.InputStream;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.function.IntFunction;
import java.util.stream.Collectors;

/** What OPA decides by: the shipped policy, the rule for opa-kafka-plugin, and grants on topics. */
final class Bundle {
    private Bundle() {
    }

    /** {@code readers}: the names of who may read a topic. */
    static void write(Path directory, Path policies, int topics,
                      IntFunction<List<String>> readers) throws IOException {
        Files.createDirectories(directory);
        Files.writeString(directory.resolve(".manifest"), "{\"revision\":\"bench\"}");
        Files.copy(policies.resolve("kafka/authz/authz.rego"), directory.resolve("authz.rego"),
                StandardCopyOption.REPLACE_EXISTING);
        try (InputStream rule = Bundle.class.getResourceAsStream("/plugin.rego")) {
            Files.copy(rule, directory.resolve("plugin.rego"), StandardCopyOption.REPLACE_EXISTING);
        }
        try (Writer data = Files.newBufferedWriter(directory.resolve("data.json"))) {
            writeGrants(data, topics, readers);
        }
    }

    private static void writeGrants(Writer data, int topics, IntFunction<List<String>> readers)
            throws IOException {
        Requests requests = new Requests(Requests.CLIENT);
        String separator = "{\"kafka\":{\"grants\":{\"topics\":{";
        for (int i = 0; i < topics; i++) {
            String names = readers.apply(i).stream().collect(Collectors.joining("\",\""));
            data.write(separator + "\"" + requests.topic(i) + "\":{\"read\":[\"" + names + "\"]}");
            separator = ",\n";
        }
        data.write("}}}}");
    }
}
