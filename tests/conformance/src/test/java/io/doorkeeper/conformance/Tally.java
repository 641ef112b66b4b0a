// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.LongAdder;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Counts what was asked of whom; a test in which Doorkeeper and the judge differed fails. */
final class Tally implements BeforeAllCallback, AfterEachCallback, AfterAllCallback {
    private static final LongAdder ASKED = new LongAdder();
    private static final LongAdder ASKED_BY_SUPER_USERS = new LongAdder();
    private static final LongAdder ANSWERED_BY_OPA = new LongAdder();
    private static final ConcurrentLinkedQueue<String> DIFFERENCES = new ConcurrentLinkedQueue<>();

    static void asked(int actions, boolean bySuperUser) {
        ASKED.add(actions);
        if (bySuperUser) {
            ASKED_BY_SUPER_USERS.add(actions);
        }
    }

    static void answeredByOpa(int actions) {
        ANSWERED_BY_OPA.add(actions);
    }

    static void differs(String question) {
        DIFFERENCES.add(question);
    }

    @Override
    public void beforeAll(ExtensionContext suite) {
        ASKED.reset();
        ASKED_BY_SUPER_USERS.reset();
        ANSWERED_BY_OPA.reset();
    }

    @Override
    public void afterEach(ExtensionContext test) {
        failOnDifferences();
    }

    @Override
    public void afterAll(ExtensionContext suite) throws IOException {
        long asked = ASKED.sum();
        long byRule = ASKED_BY_SUPER_USERS.sum();
        long byOpa = ANSWERED_BY_OPA.sum();
        long fromCache = asked - byRule - byOpa;
        report(String.format("%s: %d actions asked, %d by super users, %d answered by OPA, "
                + "%d from the cache%n", suite.getDisplayName(), asked, byRule, byOpa, fromCache));
        failOnDifferences();
        assertTrue(fromCache > 0 || asked < 100, "the cache answered nothing");
    }

    private static void report(String line) throws IOException {
        Files.writeString(Path.of(System.getProperty("conformance.report")), line,
                StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    private static void failOnDifferences() {
        List<String> found = new ArrayList<>();
        for (String next = DIFFERENCES.poll(); next != null; next = DIFFERENCES.poll()) {
            found.add(next);
        }
        assertEquals(0, found.size(), () -> "differences from StandardAuthorizer:\n"
                + String.join("\n", found.subList(0, Math.min(found.size(), 10))));
    }
}
