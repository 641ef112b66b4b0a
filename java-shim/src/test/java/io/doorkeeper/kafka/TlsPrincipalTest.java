// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult;
import javax.net.ssl.TrustManagerFactory;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The builder over the JDK's own TLS, in memory: its sessions must be what the builder expects. */
class TlsPrincipalTest {
    private static final char[] PASSWORD = "password".toCharArray();
    private static final int ROUNDS = 1000;

    @TempDir
    static Path directory;
    private static SSLContext context;

    /** Both ends show and trust one certificate. */
    @BeforeAll
    static void makeContext() throws Exception {
        byte[] leaf = Certificates.make(directory, "/O=Grab/CN=alice",
                "subjectAltName = DNS:alice.example");
        Path pem = directory.resolve("leaf.pem");
        Path store = directory.resolve("leaf.p12");
        Path der = Files.write(directory.resolve("alice.der"), leaf);
        Certificates.openssl(directory, "x509", "-inform", "DER", "-in", der.toString(), "-out",
                pem.toString());
        Certificates.openssl(directory, "pkcs12", "-export", "-in", pem.toString(), "-inkey",
                directory.resolve("key.pem").toString(), "-passout", "pass:password", "-out",
                store.toString());

        KeyStore keys = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(store)) {
            keys.load(in, PASSWORD);
        }
        KeyManagerFactory keyManagers = KeyManagerFactory.getInstance("PKIX");
        keyManagers.init(keys, PASSWORD);
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        trusted.setCertificateEntry("alice", Certificates.parsed(leaf));
        TrustManagerFactory trustManagers = TrustManagerFactory.getInstance("PKIX");
        trustManagers.init(trusted);
        context = SSLContext.getInstance("TLS");
        context.init(keyManagers.getKeyManagers(), trustManagers.getTrustManagers(), null);
    }

    @ParameterizedTest
    @ValueSource(strings = {"TLSv1.2", "TLSv1.3"})
    void aConnectionHasOnePrincipalFromItsHandshakeOn(String protocol) throws Exception {
        Connection connection = new Connection(protocol);
        DoorkeeperPrincipal principal = (DoorkeeperPrincipal) connection.principal();
        assertEquals("User:CN=alice,O=Grab", principal.toString());
        assertTrue(Certificates.contains(principal.subjectRecord(), "alice.example"));
        for (int request = 0; request < 3; request++) {
            connection.exchange("a request");
            assertSame(principal, connection.principal());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"TLSv1.2", "TLSv1.3"})
    void aResumedSessionStillHasItsCertificate(String protocol) throws Exception {
        Connection connection = new Connection(protocol);
        connection.client.getSession().putValue("mark", "first");
        DoorkeeperPrincipal first = (DoorkeeperPrincipal) connection.principal();
        Connection resumed = new Connection(protocol);
        assertEquals("first", resumed.client.getSession().getValue("mark"), "it was resumed");
        DoorkeeperPrincipal second = (DoorkeeperPrincipal) resumed.principal();
        assertNotSame(first, second);
        assertArrayEquals(first.certificateRecord(), second.certificateRecord());
    }

    @Test
    void aChannelThatClosesWhileItsRequestWaitsForOpaChangesNothing() throws Exception {
        CountDownLatch asked = new CountDownLatch(1);
        CountDownLatch closed = new CountDownLatch(1);
        try (StubOpa opa = new StubOpa(); DoorkeeperAuthorizer authorizer =
                Asking.started(Asking.settings(opa.url()))) {
            opa.allow((ask, name) -> {
                asked.countDown();
                return isDone(closed) && name.equals("orders");
            });
            Connection connection = new Connection("TLSv1.3");
            Asking.Request request = Asking.request(connection.principal());
            CompletableFuture<Boolean> allowed = CompletableFuture.supplyAsync(
                    () -> Asking.mayRead(authorizer, request, "orders"));
            CompletableFuture<Boolean> denied = CompletableFuture.supplyAsync(
                    () -> Asking.mayRead(authorizer, request, "secrets"));
            assertTrue(isDone(asked));
            connection.close();
            closed.countDown();
            assertTrue(Asking.await(allowed));
            assertFalse(Asking.await(denied));
            assertTrue(Asking.mayRead(authorizer, request, "orders"), "from the cache, too");
            assertTrue(opa.inputs().get(0).toString().contains("alice.example"), "facts were sent");
        }
    }

    private static boolean isDone(CountDownLatch latch) {
        try {
            return latch.await(Asking.PATIENCE_S, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    /** A broker's end and a client's, the bytes between them, and the connection's builder. */
    private static final class Connection {
        private final SSLEngine client = engine(true);
        private final SSLEngine broker = engine(false);
        private final ByteBuffer toBroker = room(client.getSession().getPacketBufferSize());
        private final ByteBuffer toClient = room(client.getSession().getPacketBufferSize());
        private final ByteBuffer received = room(client.getSession().getApplicationBufferSize());
        private final DoorkeeperPrincipalBuilder builder = new DoorkeeperPrincipalBuilder();

        Connection(String protocol) throws Exception {
            client.setEnabledProtocols(new String[] {protocol});
            broker.setNeedClientAuth(true);
            builder.configure(Map.of("doorkeeper.library.path",
                    System.getProperty("doorkeeper.library.path")));
            exchange("hello");
        }

        private static SSLEngine engine(boolean client) {
            // The client names the broker, so that it may resume.
            SSLEngine engine = client ? context.createSSLEngine("broker", 9093)
                    : context.createSSLEngine();
            engine.setUseClientMode(client);
            return engine;
        }

        private static ByteBuffer room(int size) {
            return ByteBuffer.allocate(2 * size);
        }

        KafkaPrincipal principal() {
            return builder.build(Certificates.connection(broker.getSession()));
        }

        /** As Kafka closes a channel: without waiting for the other end. */
        void close() {
            broker.closeOutbound();
            broker.getSession().invalidate();
        }

        /** Sends text from the client to the broker and back, after a handshake if need be. */
        void exchange(String text) throws Exception {
            assertEquals(text, send(client, toBroker, broker, toClient, text));
            assertEquals(text, send(broker, toClient, client, toBroker, text));
        }

        private String send(SSLEngine from, ByteBuffer out, SSLEngine to, ByteBuffer back,
                            String text) throws Exception {
            ByteBuffer sent = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
            received.clear();
            for (int round = 0; round < ROUNDS && received.position() < text.length(); round++) {
                step(from, sent, out, back);
                step(to, ByteBuffer.allocate(0), back, out);
            }
            return new String(received.array(), 0, received.position(), StandardCharsets.UTF_8);
        }

        private void step(SSLEngine engine, ByteBuffer plain, ByteBuffer out, ByteBuffer in)
                throws Exception {
            runTasks(engine);
            assertEquals(SSLEngineResult.Status.OK, engine.wrap(plain, out).getStatus());
            runTasks(engine);
            in.flip();
            engine.unwrap(in, received);
            in.compact();
        }

        private static void runTasks(SSLEngine engine) {
            for (Runnable task = engine.getDelegatedTask(); task != null;
                    task = engine.getDelegatedTask()) {
                task.run();
            }
        }
    }
}
