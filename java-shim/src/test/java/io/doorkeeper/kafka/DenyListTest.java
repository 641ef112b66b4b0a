// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.Level;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.server.authorizer.AuthorizationResult;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The deny list and the flush file: on connections that are open, and against what is cached. */
class DenyListTest {
    private static final String NOBODY = "{\"deny\": []}";

    @TempDir
    static Path certificates;
    private static byte[] alice;
    private static byte[] renewed;

    @TempDir
    Path directory;
    private final StubOpa opa = new StubOpa().allow((ask, name) -> true);
    private Map<String, Object> settings;
    private DoorkeeperAuthorizer authorizer;

    @BeforeAll
    static void makeCertificates() {
        alice = Certificates.make(certificates, "/O=Grab/CN=alice");
        renewed = Certificates.make(certificates, "/O=Grab/CN=alice");
    }

    @BeforeEach
    void configure() {
        settings = Asking.settings(opa.url());
        settings.put("doorkeeper.deny.file", directory.resolve("deny.json").toString());
        settings.put("doorkeeper.flush.file", directory.resolve("flush").toString());
        write("deny.json", NOBODY);
    }

    @AfterEach
    void close() {
        if (authorizer != null) {
            authorizer.close();
        }
        opa.close();
    }

    private void start(String superUsers) {
        settings.put("super.users", superUsers);
        authorizer = Asking.started(settings);
    }

    private void write(String name, String text) {
        try {
            Path whole = Files.writeString(directory.resolve(name + ".new"), text);
            Files.move(whole, directory.resolve(name), StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void deny(String member, String value) {
        write("deny.json", "{\"deny\": [{\"" + member + "\": \"" + value + "\"}]}");
    }

    /** A connection's principal, as the builder makes it. */
    private static DoorkeeperPrincipal principal(byte[] certificate) {
        DoorkeeperPrincipalBuilder builder = new DoorkeeperPrincipalBuilder();
        builder.configure(Map.of("doorkeeper.library.path",
                System.getProperty("doorkeeper.library.path")));
        return (DoorkeeperPrincipal) builder.build(
                Certificates.connection(Certificates.subjectOf(certificate), certificate));
    }

    private static String sha256(byte[] certificate) throws Exception {
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(certificate);
        return String.format("%064X", new BigInteger(1, digest));
    }

    private boolean mayRead(KafkaPrincipal principal, String topic) {
        return Asking.mayRead(authorizer, Asking.request(principal), topic);
    }

    private void awaitDenied(KafkaPrincipal principal) {
        Asking.await("a denial", () -> !mayRead(principal, "orders"));
    }

    @Test
    void aCertificateIsDeniedOnItsOpenConnection() throws Exception {
        start("");
        DoorkeeperPrincipal one = principal(alice);
        DoorkeeperPrincipal other = principal(renewed);
        assertTrue(mayRead(one, "orders"));
        assertTrue(mayRead(other, "orders"));
        assertFalse(opa.inputs().get(0).at("/requests/0/principal").has("certificate"));
        deny("certificate_sha256", sha256(alice));
        awaitDenied(one);
        assertTrue(mayRead(other, "orders"), "its twin by name has another certificate");
        write("deny.json", NOBODY);
        Asking.await("an end of it", () -> mayRead(one, "orders"));
        assertEquals(1, opa.questions(), "one decision for both, cached all the while");
    }

    @Test
    void aSuperUserIsDeniedByTheSerialThatOpensslShows() {
        start("User:CN=alice,O=Grab");
        DoorkeeperPrincipal one = principal(alice);
        DoorkeeperPrincipal other = principal(renewed);
        assertTrue(mayRead(one, "orders"));
        String serial = Certificates.parsed(alice).getSerialNumber().toString(16).toUpperCase();
        deny("serial", serial.length() % 2 == 0 ? serial : "0" + serial);
        awaitDenied(one);
        assertEquals(AuthorizationResult.DENIED, authorizer.authorizeByResourceType(
                Asking.request(one), AclOperation.WRITE, ResourceType.TOPIC));
        assertTrue(mayRead(other, "orders"));
        assertEquals(0, opa.questions());
    }

    @Test
    void aForwardedPrincipalIsDeniedByItsCertificate() throws Exception {
        start("");
        KafkaPrincipal forwarded =
                PrincipalSerde.deserialize(PrincipalSerde.serialize(principal(alice), "CLIENT"));
        assertTrue(mayRead(forwarded, "orders"));
        deny("certificate_sha256", sha256(alice));
        awaitDenied(forwarded);
    }

    @Test
    void aPlainPrincipalIsDeniedByItsName() {
        start("");
        assertTrue(mayRead(new KafkaPrincipal("User", "mallory"), "orders"));
        deny("principal", "User:mallory");
        awaitDenied(new KafkaPrincipal("User", "mallory"));
        assertTrue(mayRead(new KafkaPrincipal("User", "alice"), "orders"));
    }

    @Test
    void aResourceIsDeniedToEverybodyAndNothingElseIs() {
        start("");
        DoorkeeperPrincipal certified = principal(alice);
        KafkaPrincipal plain = new KafkaPrincipal("User", "bob");
        deny("name", "orders");
        awaitDenied(certified);
        assertFalse(mayRead(plain, "orders"));
        assertEquals(List.of(AuthorizationResult.ALLOWED, AuthorizationResult.DENIED,
                AuthorizationResult.ALLOWED), authorizer.authorize(Asking.request(certified),
                Asking.read(List.of("a", "orders", "b"))));
    }

    @Test
    void aDenialIsFinalWhileOpaIsAway() {
        settings.put("doorkeeper.on.unavailable", "stale,retry,deny");
        settings.put("doorkeeper.fetch.pause.ms", "0");
        try (Lines lines = Lines.of("kafka.authorizer.logger", Level.INFO)) {
            start("");
            opa.answerAlways(200, "no JSON");
            deny("principal", "User:CN=alice,O=Grab");
            DoorkeeperPrincipal principal = principal(alice);
            Asking.await("a denial instead of an error", () -> {
                try {
                    return !mayRead(principal, "orders");
                } catch (ApiException e) {
                    return false;
                }
            });
            lines.awaitLine("outcome = DENY, source = rule");
        }
    }

    @Test
    void whatIsWrongIsSaidAndKeepsTheLastGoodList() {
        try (Lines lines = Lines.of("io.doorkeeper.kafka", Level.INFO)) {
            start("");
            deny("principal", "User:mallory");
            lines.awaitLine("WARN a deny list is in force");
            write("deny.json", "{\"deny\": [{\"principle\": \"User:alice\"}]}");
            String line = lines.awaitLine("line 1, entry 1: there is no member \"principle\"");
            assertTrue(line.startsWith("ERROR doorkeeper.deny.file="), line);
            assertFalse(mayRead(new KafkaPrincipal("User", "mallory"), "orders"));
        }
    }

    @Test
    void aWrongListKeepsTheBrokerFromStarting() {
        deny("operation", "EVERYTHING");
        String text = assertThrows(ConfigException.class,
                () -> new DoorkeeperAuthorizer().configure(settings)).getMessage();
        assertTrue(text.contains("line 1, entry 1: operation: expected READ, WRITE"), text);
    }

    @Test
    void aChangeOfTheFlushFileVoidsTheCache() {
        start("");
        DoorkeeperPrincipal principal = principal(alice);
        assertTrue(mayRead(principal, "orders"));
        assertTrue(mayRead(principal, "orders"));
        assertEquals(1, opa.questions());
        opa.allow((ask, name) -> false);
        write("flush", "Mon Jan  1 00:00:00 UTC 2029\n");
        awaitDenied(principal);
        assertEquals(2, opa.questions());
    }
}
