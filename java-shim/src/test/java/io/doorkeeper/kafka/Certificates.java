// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.PublicKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSession;
import javax.security.auth.x500.X500Principal;
import org.apache.kafka.common.security.auth.SslAuthenticationContext;

/** Client certificates, as they come and as they should not, and the sessions they come by. */
final class Certificates {
    static final String LISTENER = "CLIENT";

    private Certificates() {
    }

    /** DER of a self-signed certificate; subject and extensions as the openssl tool takes them. */
    static byte[] make(Path directory, String subject, String... extensions) {
        try {
            Path config = Files.createTempFile(directory, "req", ".cnf");
            Files.writeString(config, "[req]\ndistinguished_name = dn\nx509_extensions = ext\n"
                    + "string_mask = utf8only\n[dn]\n[ext]\nbasicConstraints = CA:false\n"
                    + String.join("\n", extensions) + "\n");
            Path der = Files.createTempFile(directory, "leaf", ".der");
            openssl(directory, "req", "-x509", "-config", config.toString(), "-newkey", "ec",
                    "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", directory.resolve("key.pem").toString(), "-utf8", "-subj", subject,
                    "-days", "3650", "-outform", "DER", "-out", der.toString());
            return Files.readAllBytes(der);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    static void openssl(Path directory, String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of("openssl"));
        command.addAll(List.of(arguments));
        Path said = Files.createTempFile(directory, "openssl", ".log");
        Process process = new ProcessBuilder(command).redirectErrorStream(true)
                .redirectOutput(said.toFile()).start();
        try {
            if (!process.waitFor(Asking.PATIENCE_S, TimeUnit.SECONDS) || process.exitValue() != 0) {
                throw new AssertionError(String.join(" ", command) + "\n" + Files.readString(said));
            }
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        } finally {
            process.destroyForcibly();
        }
    }

    /** The same bytes with one part, which must stand there, replaced by one as long. */
    static byte[] patched(byte[] der, byte[] part, byte[] by) {
        byte[] patched = der.clone();
        int at = find(patched, part);
        if (at < 0 || part.length != by.length) {
            throw new AssertionError("nothing to patch");
        }
        while (at >= 0) {
            System.arraycopy(by, 0, patched, at, by.length);
            at = find(patched, part);
        }
        return patched;
    }

    static boolean contains(byte[] bytes, String text) {
        return find(bytes, text.getBytes(StandardCharsets.UTF_8)) >= 0;
    }

    private static int find(byte[] bytes, byte[] part) {
        for (int at = 0; at + part.length <= bytes.length; at++) {
            if (Arrays.equals(bytes, at, at + part.length, part, 0, part.length)) {
                return at;
            }
        }
        return -1;
    }

    static X509Certificate parsed(byte[] der) {
        try {
            return (X509Certificate) CertificateFactory.getInstance("X.509")
                    .generateCertificate(new ByteArrayInputStream(der));
        } catch (CertificateException e) {
            throw new AssertionError(e);
        }
    }

    static X500Principal subjectOf(byte[] der) {
        return parsed(der).getSubjectX500Principal();
    }

    /** A connection with this client certificate; the rest is what the client sent with it. */
    static SslAuthenticationContext connection(X500Principal subject, byte[]... chain) {
        return connection(session(subject, new AtomicInteger(), chain));
    }

    /** A connection by TLS whose client has no certificate. */
    static SslAuthenticationContext connectionWithoutCertificate() {
        return connection(session(null, new AtomicInteger()));
    }

    static SslAuthenticationContext connection(SSLSession session) {
        return new SslAuthenticationContext(session, InetAddress.getLoopbackAddress(), LISTENER);
    }

    /** {@code asked} counts the looks at the certificates. No chain: the client sent none. */
    static SSLSession session(X500Principal subject, AtomicInteger asked, byte[]... chain) {
        List<Certificate> certificates =
                Arrays.stream(chain).map(Encoded::new).collect(Collectors.toList());
        return (SSLSession) Proxy.newProxyInstance(Certificates.class.getClassLoader(),
                new Class<?>[] {SSLSession.class}, (proxy, method, arguments) -> {
                    switch (method.getName()) {
                        case "getPeerPrincipal":
                        case "getPeerCertificates":
                            if (chain.length == 0) {
                                throw new SSLPeerUnverifiedException("peer not authenticated");
                            }
                            break;
                        default:
                            throw new AssertionError("not expected: " + method);
                    }
                    if (method.getName().equals("getPeerPrincipal")) {
                        return subject;
                    }
                    asked.incrementAndGet();
                    return certificates.toArray(new Certificate[0]);
                });
    }

    /** Nothing but bytes: what the JDK's reader would refuse can come from another one. */
    private static final class Encoded extends Certificate {
        private static final long serialVersionUID = 1L;
        private final byte[] der;

        Encoded(byte[] der) {
            super("X.509");
            this.der = der;
        }

        @Override
        public byte[] getEncoded() {
            return der.clone();
        }

        @Override
        public void verify(PublicKey key) {
            throw new UnsupportedOperationException();
        }

        @Override
        public void verify(PublicKey key, String provider) {
            throw new UnsupportedOperationException();
        }

        @Override
        public String toString() {
            return "a certificate";
        }

        @Override
        public PublicKey getPublicKey() {
            throw new UnsupportedOperationException();
        }
    }
}
