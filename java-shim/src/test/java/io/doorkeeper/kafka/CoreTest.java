// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.config.types.Password;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Settings on their way into a core, and who shares one. */
class CoreTest {
    private final StubOpa opa = new StubOpa().allow((ask, name) -> true);

    @AfterEach
    void close() {
        opa.close();
    }

    @Test
    void theTwoAuthorizersOfACombinedNodeShareOneCore() {
        Map<String, Object> settings = Asking.settings(opa.url());
        settings.put("node.id", 1);
        DoorkeeperAuthorizer controller = Asking.started(settings);
        settings.put("node.id", 2); // not ours, so it makes no difference
        DoorkeeperAuthorizer broker = Asking.started(settings);

        assertTrue(Asking.mayRead(controller, Asking.request("alice"), "orders"));
        assertTrue(Asking.mayRead(broker, Asking.request("alice"), "orders"));
        assertEquals(1, opa.questions(), "one cache");

        // A principal may have been with the other one first.
        Asking.Request request = Asking.request("alice");
        assertTrue(Asking.mayRead(broker, request, "orders"));
        assertTrue(Asking.mayRead(controller, request, "orders"));
        assertEquals(1, opa.questions());

        broker.close();
        broker.close(); // twice is once
        assertTrue(Asking.mayRead(controller, Asking.request("bob"), "orders"));
        controller.close();
        assertFalse(Asking.mayRead(controller, Asking.request("alice"), "orders"));
        assertEquals(0, Asking.metric(controller, "hits"), "a gauge is safe after the end");
        controller.flush();
    }

    @Test
    void otherSettingsAreAnotherCore() {
        Map<String, Object> settings = Asking.settings(opa.url());
        DoorkeeperAuthorizer one = Asking.started(settings);
        settings.put("super.users", "User:root");
        DoorkeeperAuthorizer other = Asking.started(settings);
        // Its memo is of a core that the other authorizer does not know.
        Asking.Request request = Asking.request("alice");
        assertTrue(Asking.mayRead(one, request, "orders"));
        assertTrue(Asking.mayRead(other, request, "orders"));
        assertTrue(Asking.mayRead(one, request, "orders"));
        assertEquals(2, opa.questions());
        one.close();
        assertTrue(Asking.mayRead(other, request, "orders"));
        other.close();
    }

    @Test
    void aPrincipalIsEncodedForEachAuthorizerByItsOwnSettings() {
        Map<String, Object> settings = Asking.settings(opa.url());
        DoorkeeperAuthorizer one = Asking.started(settings);
        settings.put("doorkeeper.question.fields", "none");
        DoorkeeperAuthorizer other = Asking.started(settings);
        Asking.Request alice = Asking.request("alice");
        assertTrue(Asking.mayRead(one, alice, "orders"));
        assertTrue(Asking.mayRead(other, alice, "orders"));
        assertEquals(List.of(true, false), opa.inputs().stream()
                .map(input -> input.at("/requests/0/client").has("listener"))
                .collect(Collectors.toList()));
        one.close();
        other.close();
    }

    @Test
    void aCoreEndsWithItsLastUser() {
        NativeLibrary.load(Asking.settings(opa.url()));
        SortedMap<String, String> settings = Settings.forCore(Asking.settings(opa.url()));
        Core first = Core.acquire(settings);
        assertSame(first, Core.acquire(new TreeMap<>(settings)));
        first.release();
        assertFalse(first.isStopped());
        first.release();
        assertTrue(first.isStopped());
        Core second = Core.acquire(settings);
        assertNotSame(first, second);
        second.release();
    }

    @Test
    void hundredsOfCoresMayComeAndGo() {
        NativeLibrary.load(Asking.settings(opa.url()));
        for (int i = 0; i < 300; i++) {
            Map<String, Object> settings = Asking.settings(opa.url());
            settings.put("doorkeeper.cache.entries", 1024);
            settings.put("doorkeeper.queue.entries", 64 + i);
            Core.acquire(Settings.forCore(settings)).release();
        }
    }

    @Test
    void valuesOfAnyTypeBecomeText() {
        Map<String, Object> configs = new LinkedHashMap<>();
        configs.put("doorkeeper.deadline.ms", 250);
        configs.put("doorkeeper.opa.token.file", new Password("secret-path"));
        configs.put("doorkeeper.question.fields", List.of("subject", "listener"));
        configs.put("doorkeeper.opa.path", null);
        configs.put("super.users", "User:a;User:b");
        configs.put("num.io.threads", (short) 8);
        configs.put("node.id", 7);

        assertEquals(Map.of("doorkeeper.deadline.ms", "250",
                "doorkeeper.opa.token.file", "secret-path",
                "doorkeeper.question.fields", "subject,listener",
                "super.users", "User:a;User:b",
                "num.io.threads", "8"), Settings.forCore(configs));
    }

    private ConfigException refused(String key, Object value) {
        Map<String, Object> settings = Asking.settings(opa.url());
        settings.put(key, value);
        return assertThrows(ConfigException.class,
                () -> new DoorkeeperAuthorizer().configure(settings));
    }

    @Test
    void anUnknownSettingIsAnErrorThatNamesTheNearest() {
        String text = refused("doorkeeper.opa.ulr", "http://127.0.0.1:8181").getMessage();
        assertTrue(text.contains("doorkeeper.opa.ulr"), text);
        assertTrue(text.contains("doorkeeper.opa.url"), text);
    }

    @ParameterizedTest
    @CsvSource({
        "doorkeeper.opa.url,          ftp://127.0.0.1",
        "doorkeeper.deadline.ms,      0",
        "doorkeeper.deadline.ms,      2001",
        "doorkeeper.deadline.ms,      soon",
        "doorkeeper.opa.connections,  65",
        "doorkeeper.opa.batch.max,    5001",
        "doorkeeper.cache.entries,    1023",
        "doorkeeper.queue.entries,    63",
        "doorkeeper.on.unavailable,   allow",
        "doorkeeper.question.fields,  'subject,shoe_size'",
        "doorkeeper.opa.token.file,   /nonexistent/token",
        "doorkeeper.opa.ca.file,      /nonexistent/ca.pem",
        "doorkeeper.deny.file,        /nonexistent/deny.json",
    })
    void aWrongValueIsAnErrorThatNamesTheSetting(String key, String value) {
        String text = refused(key, value).getMessage();
        assertTrue(text.contains(key), text);
    }
}
