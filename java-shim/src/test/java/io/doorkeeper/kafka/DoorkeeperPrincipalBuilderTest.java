// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Proxy;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import javax.net.ssl.SSLSession;
import javax.security.auth.x500.X500Principal;
import javax.security.sasl.SaslServer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.security.auth.AuthenticationContext;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.auth.PlaintextAuthenticationContext;
import org.apache.kafka.common.security.auth.SaslAuthenticationContext;
import org.apache.kafka.common.security.auth.SecurityProtocol;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class DoorkeeperPrincipalBuilderTest {
    private static final String MAPPING = "ssl.principal.mapping.rules";
    private static final InetAddress HERE = InetAddress.getLoopbackAddress();

    @TempDir
    static Path directory;
    private static byte[] alice;
    private static X500Principal aliceName;

    @BeforeAll
    static void makeAlice() {
        alice = Certificates.make(directory, "/O=Grab/CN=alice",
                "subjectAltName = DNS:alice.example, URI:spiffe://grab/alice");
        aliceName = Certificates.subjectOf(alice);
    }

    private static DoorkeeperPrincipalBuilder builder(Map<String, ?> settings) {
        Map<String, Object> all = new HashMap<>(settings);
        all.put("doorkeeper.library.path", System.getProperty("doorkeeper.library.path"));
        DoorkeeperPrincipalBuilder builder = new DoorkeeperPrincipalBuilder();
        builder.configure(all);
        return builder;
    }

    private static DoorkeeperPrincipalBuilder builder() {
        return builder(Map.of());
    }

    private static DoorkeeperPrincipal certified(X500Principal subject, byte[]... chain) {
        DoorkeeperPrincipal principal = (DoorkeeperPrincipal)
                builder().build(Certificates.connection(subject, chain));
        assertNull(principal.refusal());
        return principal;
    }

    private static String refusal(byte[] der) {
        DoorkeeperPrincipal principal = (DoorkeeperPrincipal)
                builder().build(Certificates.connection(aliceName, der));
        assertTrue(principal.refused());
        assertNull(principal.facts());
        assertEquals("User:" + aliceName.getName(), principal.toString());
        return principal.refusal();
    }

    @Test
    void readsTheFactsOfAClientCertificate() throws Exception {
        DoorkeeperPrincipal principal = certified(aliceName, alice);
        assertEquals("User:CN=alice,O=Grab", principal.toString());
        assertEquals(Certificates.parsed(alice).getNotAfter().getTime() / 1000,
                principal.notAfterSeconds());
        assertTrue(Certificates.contains(principal.subjectRecord(), "alice.example"));
        assertTrue(Certificates.contains(principal.subjectRecord(), "spiffe://grab/alice"));
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(alice);
        assertArrayEquals(digest, Arrays.copyOfRange(principal.certificateRecord(), 16, 48));
        assertEquals(Certificates.LISTENER, principal.clientListener());
        assertFalse(principal.forwarded());
    }

    @Test
    void onlyTheFirstCertificateOfAChainIsTheClients() {
        byte[] root = Certificates.make(directory, "/O=Grab/CN=root");
        DoorkeeperPrincipal alone = certified(aliceName, alice);
        DoorkeeperPrincipal withMore = certified(aliceName, alice, root, new byte[] {1});
        assertArrayEquals(alone.subjectRecord(), withMore.subjectRecord());
        assertArrayEquals(alone.certificateRecord(), withMore.certificateRecord());
    }

    @Test
    void twoCertificatesOfOneNameAreEqualToKafkaButNotTheSame() {
        byte[] renewed = Certificates.make(directory, "/O=Grab/CN=alice");
        DoorkeeperPrincipal before = certified(aliceName, alice);
        DoorkeeperPrincipal after = certified(aliceName, renewed);
        assertEquals(before, after);
        assertFalse(Arrays.equals(before.certificateRecord(), after.certificateRecord()));
        assertFalse(Arrays.equals(before.subjectRecord(), after.subjectRecord()));
    }

    @Test
    void withoutAClientCertificateThePrincipalIsKafkas() {
        for (AuthenticationContext context : List.of(
                Certificates.connectionWithoutCertificate(),
                new PlaintextAuthenticationContext(HERE, "PLAIN"))) {
            KafkaPrincipal principal = builder().build(context);
            assertSame(KafkaPrincipal.class, principal.getClass());
            assertEquals(KafkaPrincipal.ANONYMOUS, principal);
        }
    }

    @Test
    void aSaslPrincipalStaysPlainAlsoOverMutualTls() {
        SSLSession session = Certificates.session(aliceName, new AtomicInteger(), alice);
        DoorkeeperPrincipalBuilder builder = builder();
        AuthenticationContext context = new SaslAuthenticationContext(
                sasl("SCRAM-SHA-512", "bob"), SecurityProtocol.SASL_SSL, HERE, "SASL",
                Optional.of(session));
        KafkaPrincipal principal = builder.build(context);
        assertSame(KafkaPrincipal.class, principal.getClass());
        assertEquals("User:bob", principal.toString());

        // As Kafka does after a log-in by delegation token; the next one is not affected.
        principal.tokenAuthenticated(true);
        KafkaPrincipal forwarded = builder.deserialize(builder.serialize(principal));
        assertSame(KafkaPrincipal.class, forwarded.getClass());
        assertTrue(forwarded.tokenAuthenticated());
        assertTrue(new KafkaPrincipal("User", "bob").equals(forwarded),
                "an owner of tokens is compared like this");
        assertEquals("SASL", DoorkeeperPrincipal.clientListenerOf(forwarded));
        assertTrue(DoorkeeperPrincipal.isForwarded(forwarded));
        assertFalse(DoorkeeperPrincipal.isForwarded(principal));
        assertFalse(builder.build(context).tokenAuthenticated());
    }

    @Test
    void kerberosNamesAreMappedByKafkasRules() {
        DoorkeeperPrincipalBuilder builder = builder(Map.of(
                "sasl.kerberos.principal.to.local.rules",
                List.of("RULE:[2:$1@$0](.*@EXAMPLE.COM)s/@.*//", "DEFAULT")));
        AuthenticationContext context = new SaslAuthenticationContext(
                sasl("GSSAPI", "client/host.example@EXAMPLE.COM"), SecurityProtocol.SASL_PLAINTEXT,
                HERE, "SASL");
        assertEquals("User:client", builder.build(context).toString());
    }

    private static SaslServer sasl(String mechanism, String authorizationId) {
        Map<String, String> answers = Map.of("getMechanismName", mechanism,
                "getAuthorizationID", authorizationId);
        return (SaslServer) Proxy.newProxyInstance(
                DoorkeeperPrincipalBuilderTest.class.getClassLoader(),
                new Class<?>[] {SaslServer.class},
                (proxy, method, arguments) -> answers.get(method.getName()));
    }

    /** Names of SslPrincipalMapperTest, in Kafka's own repository. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "CN=duke,OU=ServiceUsers,O=Org,C=US               | duke",
        "CN=duke,OU=SME,O=mycp,L=Fulton,ST=MD,C=US        | duke@sme",
        "CN=duke,OU=JavaSoft,O=Sun Microsystems           | DUKE",
        "OU=JavaSoft,O=Sun Microsystems,C=US              | OU=JavaSoft,O=Sun Microsystems,C=US",
    })
    void namesAreMappedByKafkasRules(String subject, String name) {
        DoorkeeperPrincipalBuilder builder = builder(Map.of(MAPPING,
                "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/,"
                + " RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L,"
                + " RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/U, DEFAULT"));
        KafkaPrincipal principal =
                builder.build(Certificates.connection(new X500Principal(subject), alice));
        assertEquals("User", principal.getPrincipalType());
        assertEquals(name, principal.getName());
        assertSame(DoorkeeperPrincipal.class, principal.getClass());
    }

    /** The name of the certificate that Kafka's SslEndToEndAuthorizationTest makes. */
    @Test
    void anEscapedNameIsAsJavaWritesIt() {
        String name = "O=A client,CN=\\#A client with special chars in CN : (\\, \\+ \\\" \\\\"
                + " \\< \\> \\; ')";
        assertEquals(name, certified(new X500Principal(name), alice).getName());
    }

    @Test
    void aNameThatNoRuleMatchesClosesTheConnectionAsInKafka() {
        DoorkeeperPrincipalBuilder builder = builder(Map.of(MAPPING, "RULE:^CN=nobody$/x/"));
        assertThrows(KafkaException.class,
                () -> builder.build(Certificates.connection(aliceName, alice)));
    }

    @ParameterizedTest
    @ValueSource(strings = {"default", "DEFAULT/L", "RULE:CN=(.*?),OU=ServiceUsers.*/$1",
        "rule:^CN=(.*?),OU=ServiceUsers.*$/$1/", "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/L/U"})
    void rulesThatKafkaRefusesNameNobody(String rules) {
        DoorkeeperPrincipalBuilder builder = builder(Map.of(MAPPING, rules));
        assertThrows(IllegalArgumentException.class,
                () -> builder.build(Certificates.connection(aliceName, alice)));
    }

    @Test
    void aConnectionsCertificateIsReadOnce() {
        AtomicInteger asked = new AtomicInteger();
        SSLSession session = Certificates.session(aliceName, asked, alice);
        DoorkeeperPrincipalBuilder builder = builder();
        KafkaPrincipal first = builder.build(Certificates.connection(session));
        for (int request = 0; request < 1000; request++) {
            assertSame(first, builder.build(Certificates.connection(session)));
        }
        assertEquals(1, asked.get());
    }

    @Test
    void aRefusalIsRememberedToo() {
        AtomicInteger asked = new AtomicInteger();
        SSLSession session = Certificates.session(aliceName, asked, new byte[] {1, 2, 3});
        DoorkeeperPrincipalBuilder builder = builder();
        KafkaPrincipal first = builder.build(Certificates.connection(session));
        assertSame(first, builder.build(Certificates.connection(session)));
        assertEquals(1, asked.get());
    }

    /** Kafka does not do this; if it ever shared a builder, nobody may become somebody else. */
    @Test
    void anotherSessionIsAnotherClient() {
        byte[] bob = Certificates.make(directory, "/O=Grab/CN=bob");
        DoorkeeperPrincipalBuilder builder = builder();
        KafkaPrincipal first = builder.build(Certificates.connection(aliceName, alice));
        KafkaPrincipal second =
                builder.build(Certificates.connection(Certificates.subjectOf(bob), bob));
        assertNotEquals(first, second);
        assertNotSame(KafkaPrincipal.ANONYMOUS, second);
        assertSame(KafkaPrincipal.ANONYMOUS,
                builder.build(Certificates.connectionWithoutCertificate()));
    }

    @Test
    void aHundredAlternativeNamesAreFacts() {
        byte[] der = withNames(100);
        byte[] subject = certified(Certificates.subjectOf(der), der).subjectRecord();
        for (int i = 0; i < 100; i++) {
            assertTrue(Certificates.contains(subject, "host-" + i + ".example"));
        }
    }

    @Test
    void tooManyAlternativeNamesAreRefused() {
        assertTrue(refusal(withNames(257)).contains("256"), "says the limit");
    }

    private static byte[] withNames(int count) {
        return Certificates.make(directory, "/CN=many", "subjectAltName = "
                + IntStream.range(0, count).mapToObj(i -> "DNS:host-" + i + ".example")
                        .collect(Collectors.joining(",")));
    }

    @Test
    void aLeafOf60KibIsRead() {
        byte[] der = withPadding(60 * 1024);
        assertTrue(der.length > 60 * 1024);
        assertTrue(Certificates.contains(
                certified(Certificates.subjectOf(der), der).subjectRecord(), "large"));
    }

    @Test
    void aLeafOver64KibIsRefused() {
        assertTrue(refusal(withPadding(64 * 1024)).contains("longer than"));
    }

    /** In several extensions, since the openssl tool does not take a line of this length. */
    private static byte[] withPadding(int length) {
        String[] extensions = IntStream.range(0, length / 4096)
                .mapToObj(i -> "1.2.3.4." + i + " = DER:04821000" + "00".repeat(4096))
                .toArray(String[]::new);
        return Certificates.make(directory, "/CN=large", extensions);
    }

    @ParameterizedTest
    @ValueSource(ints = {0x00, 0x01, 0x0a, 0x0d, 0x1b, 0x7f})
    void aControlCharacterInTheSubjectIsRefused(int character) {
        byte[] der = Certificates.make(directory, "/CN=al~ce");
        byte[] by = {'a', 'l', (byte) character, 'c', 'e'};
        assertTrue(refusal(Certificates.patched(der, ascii("al~ce"), by))
                .contains("control character"));
    }

    @ParameterizedTest
    @ValueSource(ints = {0x00, 0x0a, 0x80})
    void anAlternativeNameThatIsNotPlainIsRefused(int character) {
        byte[] der = Certificates.make(directory, "/CN=alice", "subjectAltName = DNS:al~ce.org");
        byte[] by = {'a', 'l', (byte) character, 'c', 'e'};
        assertTrue(refusal(Certificates.patched(der, ascii("al~ce"), by))
                .contains("alternative name"));
    }

    @Test
    void duplicateExtensionsAreRefused() {
        byte[] der = Certificates.make(directory, "/CN=alice", "1.2.3.4 = DER:0500",
                "1.2.3.5 = DER:0500");
        byte[] second = {0x06, 0x03, 0x2a, 0x03, 0x05};
        byte[] first = {0x06, 0x03, 0x2a, 0x03, 0x04};
        assertTrue(refusal(Certificates.patched(der, second, first)).contains("twice"));
    }

    @Test
    void whatIsNoCertificateIsRefusedAtEveryLength() {
        for (int length = 0; length < alice.length; length++) {
            refusal(Arrays.copyOf(alice, length));
        }
        refusal(Arrays.copyOf(alice, alice.length + 1));
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }
}
