// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import org.slf4j.LoggerFactory;

/** What one logger writes while this is open, at a level that is put back afterwards. */
final class Lines extends AppenderBase<ILoggingEvent> implements AutoCloseable {
    private final Logger logger;
    private final Level levelBefore;
    private final List<ILoggingEvent> events = new CopyOnWriteArrayList<>();
    private final CountDownLatch blocked = new CountDownLatch(1);
    private final CountDownLatch unblocked;

    private Lines(String logger, Level level, boolean blocking) {
        this.logger = (Logger) LoggerFactory.getLogger(logger);
        this.levelBefore = this.logger.getLevel();
        this.unblocked = new CountDownLatch(blocking ? 1 : 0);
        setName("lines");
        start();
        this.logger.setLevel(level);
        this.logger.setAdditive(false);
        this.logger.addAppender(this);
    }

    static Lines of(String logger, Level level) {
        return new Lines(logger, level, false);
    }

    /** Lines of a log that hangs until {@link #unblock}. */
    static Lines blocking(String logger, Level level) {
        return new Lines(logger, level, true);
    }

    @Override
    protected void append(ILoggingEvent event) {
        blocked.countDown();
        try {
            unblocked.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        events.add(event);
    }

    /** Waits until somebody hangs in the log. */
    void awaitBlocked() {
        Asking.await("a line is being written", () -> blocked.getCount() == 0);
    }

    void unblock() {
        unblocked.countDown();
    }

    List<String> texts() {
        return events.stream().map(event -> event.getLevel() + " " + event.getFormattedMessage())
                .collect(Collectors.toList());
    }

    /** The first line that holds the text, waiting for it. */
    String awaitLine(String text) {
        Asking.await("a line with: " + text, () -> find(text) != null);
        return find(text);
    }

    private String find(String text) {
        return texts().stream().filter(line -> line.contains(text)).findFirst().orElse(null);
    }

    @Override
    public void close() {
        unblock();
        logger.detachAppender(this);
        logger.setAdditive(true);
        logger.setLevel(levelBefore);
        stop();
    }
}
