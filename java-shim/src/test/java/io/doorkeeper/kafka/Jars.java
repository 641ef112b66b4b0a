// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Jars as the package has them: the product's classes, with or without a library inside. */
final class Jars {
    private Jars() {
    }

    static Path productClasses() {
        try {
            return Path.of(DoorkeeperAuthorizer.class.getProtectionDomain().getCodeSource()
                    .getLocation().toURI());
        } catch (URISyntaxException e) {
            throw new AssertionError(e);
        }
    }

    /** {@code library} may be null: a jar without one. */
    static Path write(Path jar, Path library) throws IOException {
        Path classes = productClasses();
        try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar));
                Stream<Path> files = Files.walk(classes)) {
            List<Path> regular = files.filter(Files::isRegularFile).collect(Collectors.toList());
            for (Path file : regular) {
                put(out, classes.relativize(file).toString(), file);
            }
            if (library != null) {
                String arch = System.getProperty("os.arch").replace("amd64", "x86_64");
                put(out, "io/doorkeeper/kafka/native/linux-" + arch + "/libdoorkeeper.so", library);
            }
        }
        return jar;
    }

    private static void put(JarOutputStream out, String name, Path file) throws IOException {
        out.putNextEntry(new JarEntry(name));
        Files.copy(file, out);
        out.closeEntry();
    }
}
