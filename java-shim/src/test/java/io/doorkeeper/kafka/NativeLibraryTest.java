// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.config.types.Password;
import org.apache.kafka.server.authorizer.Authorizer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Where the library is found, and what an operator reads if it is not. */
class NativeLibraryTest {
    private final Path library = Path.of(System.getProperty("doorkeeper.library.path"));

    @TempDir
    Path directory;

    /** Loads the product's classes anew, so that no library is loaded yet. */
    private static final class FreshClasses extends URLClassLoader {
        FreshClasses(Path jar) throws Exception {
            super(new URL[] {jar.toUri().toURL()}, NativeLibraryTest.class.getClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (!name.startsWith("io.doorkeeper.")) {
                return super.loadClass(name, resolve);
            }
            synchronized (getClassLoadingLock(name)) {
                Class<?> known = findLoadedClass(name);
                return known != null ? known : findClass(name);
            }
        }
    }

    private static Map<String, Object> settings(Object libraryPath) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("doorkeeper.library.path", libraryPath);
        return settings;
    }

    /** Why an authorizer from this jar does not start. */
    private static String refusal(Path jar, Object libraryPath) throws Exception {
        try (FreshClasses classes = new FreshClasses(jar)) {
            Authorizer authorizer = (Authorizer) classes
                    .loadClass(DoorkeeperAuthorizer.class.getName())
                    .getConstructor().newInstance();
            return assertThrows(ConfigException.class,
                    () -> authorizer.configure(settings(libraryPath))).getMessage();
        }
    }

    private static void assertContains(String text, String... parts) {
        for (String part : parts) {
            assertTrue(text.contains(part), () -> "no '" + part + "' in: " + text);
        }
    }

    private Path file(String name, String text) throws Exception {
        return Files.writeString(directory.resolve(name), text);
    }

    /** Compiles a library of a few lines of C. */
    private Path compile(String source) throws Exception {
        Path compiled = directory.resolve("libother.so");
        String headers = System.getProperty("java.home") + "/include";
        ProcessBuilder compiler = new ProcessBuilder("cc", "-shared", "-fPIC", "-I" + headers,
                "-I" + headers + "/linux", "-o", compiled.toString(),
                file("other.c", source).toString()).inheritIO();
        compiler.environment().remove("LD_PRELOAD");
        Process process = compiler.start();
        assertTrue(process.waitFor(Asking.PATIENCE_S, TimeUnit.SECONDS));
        assertEquals(0, process.exitValue());
        return compiled;
    }

    private Path plainJar() throws Exception {
        return Jars.write(directory.resolve("doorkeeper.jar"), null);
    }

    @Test
    void aPathThatIsNotThereIsNamed() throws Exception {
        String missing = directory.resolve("missing.so").toString();
        assertContains(refusal(plainJar(), missing), "doorkeeper.library.path", missing);
    }

    @Test
    void whatIsNoLibraryIsNamed() throws Exception {
        Path text = file("libdoorkeeper.so.txt", "no library");
        assertContains(refusal(plainJar(), text), text.toString(), "could not be loaded");
    }

    @Test
    void anotherLibraryIsNotTaken() throws Exception {
        Path other = compile("int nothing;");
        assertContains(refusal(plainJar(), other), other.toString(), "is not Doorkeeper's library");
    }

    @Test
    void aLibraryOfAnotherReleaseIsNotTaken() throws Exception {
        Path other = compile("int Java_io_doorkeeper_kafka_NativeCore_abiVersion(void *env,"
                + " void *c) { return 99; }");
        assertContains(refusal(plainJar(), other), other.toString(), "ABI version 99",
                "one release");
    }

    @Test
    void aLibraryWithOtherMethodsIsOfAnotherRelease() throws Exception {
        Path other = compile("#include <jni.h>\n"
                + "static void gone(void) {}\n"
                + "jint JNI_OnLoad(JavaVM *vm, void *reserved) {\n"
                + "    JNIEnv *env;\n"
                + "    JNINativeMethod method = {\"goneMethod\", \"()V\", (void *)gone};\n"
                + "    (*vm)->GetEnv(vm, (void **)&env, JNI_VERSION_1_8);\n"
                + "    jclass c = (*env)->FindClass(env, \"io/doorkeeper/kafka/NativeCore\");\n"
                + "    (*env)->RegisterNatives(env, c, &method, 1);\n"
                + "    return JNI_VERSION_1_8;\n"
                + "}\n");
        assertContains(refusal(plainJar(), other), other.toString(), "goneMethod", "one release");
    }

    @Test
    void thePathMayBeOfAnyType() throws Exception {
        String missing = directory.resolve("missing.so").toString();
        assertContains(refusal(plainJar(), new Password(missing)), missing);
    }

    @Test
    void withoutALibraryTheTextSaysWhatToDo() throws Exception {
        assertContains(refusal(plainJar(), null), "linux-", "beside", "doorkeeper.library.path");
    }

    @Test
    void aTemporaryDirectoryThatCannotBeUsedIsNamed() throws Exception {
        Path jar = Jars.write(directory.resolve("doorkeeper.jar"), file("broken.so", "no library"));
        assertContains(refusal(jar, null), System.getProperty("java.io.tmpdir"), "noexec", "beside",
                "doorkeeper.library.path");
    }

    @Test
    void thereCanBeOnlyOneLibraryInAProcess() throws Exception {
        NativeLibrary.load(settings(library));
        NativeLibrary.load(settings(library.toString()));
        NativeLibrary.load(settings(null));
        assertEquals(library.toRealPath().toString(), NativeLibrary.origin());
        Path copy = Files.copy(library, directory.resolve("libdoorkeeper.so"));
        String text = assertThrows(ConfigException.class,
                () -> NativeLibrary.load(settings(copy))).getMessage();
        assertContains(text, copy.toString(), library.toRealPath().toString());
    }

    /** Prints where the library came from, or why there is none. */
    static final class Load {
        private Load() {
        }

        public static void main(String[] arguments) {
            try {
                NativeLibrary.load(settings(null));
                System.out.println("loaded from " + NativeLibrary.origin());
            } catch (ConfigException e) {
                System.out.println(e.getMessage());
            }
        }
    }

    private String loadInChild(Path jar, Path temporaryFiles) throws Exception {
        ChildJvm child = new ChildJvm(directory).with("-Djava.io.tmpdir=" + temporaryFiles);
        assertEquals(0, child.run(ChildJvm.classPathWith(jar), Load.class), child.output());
        return child.output();
    }

    @Test
    void theLibraryBesideTheJarIsTaken() throws Exception {
        Path home = Files.createDirectory(directory.resolve("home"));
        Path jar = Jars.write(home.resolve("doorkeeper.jar"), file("broken.so", "not taken"));
        Path beside = Files.copy(library, home.resolve("libdoorkeeper.so"));
        assertContains(loadInChild(jar, directory), "loaded from " + beside);
    }

    @Test
    void theLibraryInTheJarIsTakenAndLeavesNoFile() throws Exception {
        Path temporaryFiles = Files.createDirectory(directory.resolve("temporary"));
        Path jar = Jars.write(directory.resolve("doorkeeper.jar"), library);
        assertContains(loadInChild(jar, temporaryFiles), "loaded from the jar's native/linux-");
        try (Stream<Path> left = Files.list(temporaryFiles)) {
            assertEquals(List.of(), left.filter(path -> path.toString().contains("doorkeeper"))
                    .collect(Collectors.toList()));
        }
    }

    @Test
    void aNoexecDirectoryIsExplained() throws Exception {
        assumeTrue(canMount(), "this machine lets nobody mount in a namespace of their own");
        Path jar = Jars.write(directory.resolve("doorkeeper.jar"), library);
        Path noexec = Files.createDirectory(directory.resolve("noexec"));
        ChildJvm child = new ChildJvm(directory).with("-Djava.io.tmpdir=" + noexec)
                .under("unshare", "-rm", "sh", "-c",
                        "mount -t tmpfs -o noexec none " + noexec + " && exec \"$@\"", "sh");
        assertEquals(0, child.run(ChildJvm.classPathWith(jar), Load.class), child.output());
        assertContains(child.output(), noexec.toString(), "mounted noexec",
                "doorkeeper.library.path");
    }

    private static boolean canMount() throws Exception {
        Process process = new ProcessBuilder("unshare", "-rm", "true").start();
        return process.waitFor(Asking.PATIENCE_S, TimeUnit.SECONDS) && process.exitValue() == 0;
    }
}
