// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** Another JVM for what would harm this one. Never outlives the call that runs it. */
final class ChildJvm {
    private final Path directory;
    private final List<String> command = new ArrayList<>();
    private String output = "";

    /** {@code directory}: where it runs, and leaves its traces. */
    ChildJvm(Path directory) {
        this.directory = directory;
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("-Xcheck:jni", "-XX:TieredStopAtLevel=1", "-Xmx256m"));
    }

    ChildJvm with(String option) {
        command.add(option);
        return this;
    }

    /** Runs the JVM by this command, which gets the JVM's command line as its arguments. */
    ChildJvm under(String... wrapper) {
        command.addAll(0, Arrays.asList(wrapper));
        return this;
    }

    /** The exit status. What it printed is in {@link #output}. */
    int run(String classPath, Class<?> main, String... arguments) throws Exception {
        List<String> whole = new ArrayList<>(command);
        whole.addAll(List.of("-cp", classPath, main.getName()));
        whole.addAll(Arrays.asList(arguments));
        Path out = Files.createTempFile(directory, "child", ".txt");
        Process process = new ProcessBuilder(whole).directory(directory.toFile())
                .redirectErrorStream(true).redirectOutput(out.toFile()).start();
        try {
            if (!process.waitFor(2 * Asking.PATIENCE_S, TimeUnit.SECONDS)) {
                throw new AssertionError("still runs: " + whole + "\n" + Files.readString(out));
            }
            output = Files.readString(out);
            if (output.contains("WARNING in native method")) { // what -Xcheck:jni has to say
                throw new AssertionError(output);
            }
            return process.exitValue();
        } finally {
            process.destroyForcibly();
        }
    }

    String output() {
        return output;
    }

    /** This JVM's class path with the product's classes taken from somewhere else. */
    static String classPathWith(Path product) throws IOException {
        Path classes = Jars.productClasses();
        return product + File.pathSeparator
                + Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                        .filter(entry -> !Path.of(entry).equals(classes))
                        .collect(Collectors.joining(File.pathSeparator));
    }
}
