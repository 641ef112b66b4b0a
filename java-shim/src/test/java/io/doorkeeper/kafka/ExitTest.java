// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** System.exit while every thread is inside: a clean end, whoever was where. */
class ExitTest {
    private static final int TIMES = Integer.getInteger("doorkeeper.test.exits", 10);

    @TempDir
    Path directory;

    /** The broker: asks on several threads and exits in the middle of it. */
    static final class Broker {
        private Broker() {
        }

        public static void main(String[] arguments) throws InterruptedException {
            DoorkeeperAuthorizer authorizer = Asking.started(Asking.settings(arguments[0]));
            if (arguments[1].equals("close")) { // as Kafka does, by a shutdown hook
                Runtime.getRuntime().addShutdownHook(new Thread(authorizer::close));
            }
            CountDownLatch load = new CountDownLatch(400);
            for (int i = 0; i < 4; i++) {
                String user = "user-" + i;
                Thread thread = new Thread(() -> askOn(authorizer, user, load));
                thread.setDaemon(true);
                thread.start();
            }
            load.await();
            System.exit(42);
        }

        private static void askOn(DoorkeeperAuthorizer authorizer, String user,
                                  CountDownLatch load) {
            Asking.Request request = Asking.request(user);
            for (int round = 0; ; round++) {
                authorizer.authorize(request, Asking.read(List.of("known", "new-" + round)));
                load.countDown();
            }
        }
    }

    @Test
    void exitUnderLoadIsClean() throws Exception {
        try (StubOpa opa = new StubOpa().allow((ask, name) -> true)) {
            for (int i = 0; i < TIMES; i++) {
                ChildJvm child = new ChildJvm(directory).with("-Ddoorkeeper.library.path="
                        + System.getProperty("doorkeeper.library.path"));
                int status = child.run(System.getProperty("java.class.path"), Broker.class,
                        opa.url(), i % 2 == 0 ? "close" : "leave");
                assertEquals(42, status, child.output());
            }
        }
    }
}
