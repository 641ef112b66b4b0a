// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.CodeSource;
import java.util.Locale;
import java.util.Map;
import org.apache.kafka.common.config.ConfigException;

/**
 * Finds and loads libdoorkeeper.so, once a process: the file that {@value #PATH_SETTING} names;
 * else the one beside the jar; else the one inside the jar, by way of a private temporary
 * directory that is gone once it is loaded. Any thread.
 */
final class NativeLibrary {
    static final String PATH_SETTING = "doorkeeper.library.path";
    static final String FILE_NAME = "libdoorkeeper.so";

    private static final String ADVICE = "; put " + FILE_NAME + " beside Doorkeeper's jar, or set "
            + PATH_SETTING + " to where it is";

    /** Where the library that this process uses came from; null until there is one. */
    private static String origin;

    private NativeLibrary() {
    }

    /**
     * Loads the library if nobody has yet.
     *
     * @throws ConfigException if that fails, or if the settings name another library than the one
     *     that was loaded
     */
    static synchronized void load(Map<String, ?> configs) {
        String path = Settings.text(configs, PATH_SETTING);
        if (!path.isEmpty()) {
            loadExplicit(path);
        } else if (origin == null) {
            loadFound();
        }
    }

    /** Where the library came from, for people. */
    static synchronized String origin() {
        return origin;
    }

    private static void loadExplicit(String text) {
        Path path;
        try {
            path = Paths.get(text).toRealPath();
        } catch (IOException | InvalidPathException e) {
            throw new ConfigException(PATH_SETTING, text, "there is no such file: " + e);
        }
        if (origin == null) {
            loadFile(path, path.toString(), "");
        } else if (!origin.equals(path.toString())) {
            throw new ConfigException(PATH_SETTING, text,
                    "this process already uses " + origin + ", and there can be only one");
        }
    }

    private static void loadFound() {
        Path beside = besideJar();
        if (beside != null && Files.isRegularFile(beside)) {
            loadFile(beside, beside.toString(), ADVICE);
        } else {
            loadResource("native/" + platform() + "/" + FILE_NAME);
        }
    }

    private static Path besideJar() {
        CodeSource source = NativeLibrary.class.getProtectionDomain().getCodeSource();
        if (source == null || source.getLocation() == null) {
            return null;
        }
        try {
            return Paths.get(source.getLocation().toURI()).resolveSibling(FILE_NAME);
        } catch (URISyntaxException | IllegalArgumentException e) {
            return null; // classes that do not come from a file have nothing beside them
        }
    }

    /** As {@code uname} says it: linux-x86_64, linux-aarch64. */
    private static String platform() {
        String arch = System.getProperty("os.arch");
        return System.getProperty("os.name").toLowerCase(Locale.ROOT) + "-"
                + (arch.equals("amd64") ? "x86_64" : arch);
    }

    private static void loadResource(String name) {
        try (InputStream library = NativeLibrary.class.getResourceAsStream(name)) {
            if (library == null) {
                throw new ConfigException("the jar holds no " + name + ADVICE);
            }
            loadByTemporaryFile(library, "the jar's " + name);
        } catch (IOException e) {
            throw new ConfigException("the jar's " + name + " could not be copied to "
                    + System.getProperty("java.io.tmpdir") + ": " + e + ADVICE);
        }
    }

    /** Nobody else can put or change a file where ours is written and loaded from. */
    private static void loadByTemporaryFile(InputStream library, String from) throws IOException {
        Path directory = Files.createTempDirectory("doorkeeper", PosixFilePermissions
                .asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Path file = directory.resolve(FILE_NAME);
        try {
            try (OutputStream out = Files.newOutputStream(file, StandardOpenOption.CREATE_NEW,
                    StandardOpenOption.WRITE)) {
                library.transferTo(out);
            }
            loadFile(file, from, " (is " + directory.getParent() + " mounted noexec?)" + ADVICE);
        } finally {
            Files.deleteIfExists(file);
            Files.deleteIfExists(directory);
        }
    }

    private static void loadFile(Path file, String from, String advice) {
        try {
            System.load(file.toAbsolutePath().toString());
        } catch (UnsatisfiedLinkError e) {
            throw new ConfigException(from + " could not be loaded: " + e.getMessage() + advice);
        } catch (NoSuchMethodError e) {
            throw ofAnotherRelease(from, "has other methods than this jar (" + e.getMessage() + ")");
        }
        checkAbi(from);
        origin = from;
    }

    private static void checkAbi(String from) {
        int version;
        try {
            version = NativeCore.abiVersion();
        } catch (UnsatisfiedLinkError e) {
            throw new ConfigException(from + " is not Doorkeeper's library");
        }
        if (version != NativeCore.ABI_VERSION) {
            throw ofAnotherRelease(from, "has ABI version " + version + ", this jar needs "
                    + NativeCore.ABI_VERSION);
        }
    }

    private static ConfigException ofAnotherRelease(String from, String difference) {
        return new ConfigException(
                from + " " + difference + ": install the jar and the library of one release");
    }
}
