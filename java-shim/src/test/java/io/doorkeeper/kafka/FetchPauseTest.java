// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.IntStream;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class FetchPauseTest {
    private static final long LONG_MS = 600_000;

    @AfterEach
    void forget() {
        FetchPause.forgetAll();
    }

    private static KafkaPrincipal user(Object name) {
        return new KafkaPrincipal("User", "paused-" + name);
    }

    private static boolean isPaused(KafkaPrincipal principal) {
        try {
            FetchPause.check(principal);
            return false;
        } catch (FetchPause.Paused e) {
            return true;
        }
    }

    @Test
    void aPauseIsOnePrincipalsAndEnds() {
        FetchPause.begin(user("a"), LONG_MS);
        FetchPause.begin(user("b"), 1);
        assertTrue(isPaused(user("a")));
        assertEquals(0, assertThrows(FetchPause.Paused.class,
                () -> FetchPause.check(user("a"))).getStackTrace().length);
        Asking.await("the short pause ends", () -> !isPaused(user("b")));
        assertTrue(!isPaused(user("c")));
    }

    @Test
    void connectionsAreClosedAtABoundedRate() {
        FetchPause.begin(user("a"), LONG_MS);
        int asked = 100 * FetchPause.CLOSED_A_SECOND_MAX;
        long start = System.nanoTime();
        long closed = IntStream.range(0, asked).filter(i -> isPaused(user("a"))).count();
        long seconds = (System.nanoTime() - start) / 1_000_000_000 + 2;
        assertTrue(closed <= seconds * FetchPause.CLOSED_A_SECOND_MAX, closed + " closed");
        assertTrue(closed > 0);
    }

    @Test
    void thoseRememberedHaveABoundAndMakeRoomWhenTheyAreOver() {
        IntStream.range(0, 2 * FetchPause.PRINCIPALS_MAX)
                .forEach(i -> FetchPause.begin(user(i), LONG_MS));
        assertEquals(FetchPause.PRINCIPALS_MAX, FetchPause.size());
        FetchPause.forgetAll();
        IntStream.range(0, FetchPause.PRINCIPALS_MAX).forEach(i -> FetchPause.begin(user(i), 1));
        Asking.await("there is room again", () -> {
            FetchPause.begin(user("new"), LONG_MS);
            return isPaused(user("new"));
        });
    }
}
