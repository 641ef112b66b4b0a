// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.junit.jupiter.api.Test;

/**
 * The law of the wire format: bytes are refused, or they are exactly what is written for the
 * principal that was read from them. The corpus also fixes the format: what one release wrote
 * (valid-*), the next one reads.
 */
class PrincipalSerdeFuzzTest {
    private static final int RUNS = Integer.getInteger("doorkeeper.fuzz.runs", 200_000);
    private static final long SEED = 20260101;

    @Test
    void theCorpusIsReadOrRefusedAsItsNamesSay() throws Exception {
        Map<String, byte[]> corpus = corpus();
        assertTrue(corpus.size() >= 12, "the corpus is there");
        corpus.forEach((name, bytes) ->
                assertEquals(name.startsWith("valid-"), isRead(bytes), name));
    }

    @Test
    void mutatedPrincipalsAreRefusedOrExact() throws Exception {
        List<byte[]> seeds = List.copyOf(corpus().values());
        SplittableRandom random = new SplittableRandom(SEED);
        int read = 0;
        for (int run = 0; run < RUNS; run++) {
            byte[] bytes = seeds.get(random.nextInt(seeds.size()));
            for (int change = random.nextInt(4); change >= 0; change--) {
                bytes = mutated(bytes, seeds, random);
            }
            read += isRead(bytes) ? 1 : 0;
        }
        assertTrue(read > RUNS / 1000, "some are still read, or this tests little: " + read);
        assertTrue(read < RUNS, "some are refused");
    }

    @Test
    void randomBytesAreRefusedOrExact() {
        SplittableRandom random = new SplittableRandom(SEED);
        for (int run = 0; run < RUNS; run++) {
            byte[] bytes = new byte[random.nextInt(64)];
            random.nextBytes(bytes);
            if (bytes.length > 3 && random.nextBoolean()) {
                bytes[0] = 'D';
                bytes[1] = 'K';
                bytes[2] = 1;
                bytes[3] &= 0x0f;
            }
            isRead(bytes);
        }
    }

    private static boolean isRead(byte[] bytes) {
        KafkaPrincipal principal;
        try {
            principal = PrincipalSerde.deserialize(bytes.clone());
        } catch (SerializationException e) {
            return false;
        }
        assertArrayEquals(bytes, PrincipalSerde.serialize(principal,
                DoorkeeperPrincipal.clientListenerOf(principal)));
        return true;
    }

    private static byte[] mutated(byte[] bytes, List<byte[]> seeds, SplittableRandom random) {
        if (bytes.length == 0) {
            return new byte[] {(byte) random.nextInt(256)};
        }
        int at = random.nextInt(bytes.length);
        byte[] changed = bytes.clone();
        switch (random.nextInt(6)) {
            case 0:
                changed[at] ^= (byte) (1 << random.nextInt(8));
                return changed;
            case 1:
                changed[at] = (byte) random.nextInt(256);
                return changed;
            case 2:
                return Arrays.copyOf(bytes, at);
            case 3: // one byte more, somewhere
                changed = Arrays.copyOf(bytes, bytes.length + 1);
                System.arraycopy(bytes, at, changed, at + 1, bytes.length - at);
                return changed;
            case 4: // a length that is nearly, or not at all, right
                if (at + Integer.BYTES <= bytes.length) {
                    ByteBuffer numbers = ByteBuffer.wrap(changed);
                    numbers.putInt(at, random.nextBoolean()
                            ? numbers.getInt(at) + random.nextInt(-2, 3) : random.nextInt());
                }
                return changed;
            default: // the front of one, the back of another
                byte[] other = seeds.get(random.nextInt(seeds.size()));
                int from = random.nextInt(other.length + 1);
                changed = Arrays.copyOf(bytes, at + other.length - from);
                System.arraycopy(other, from, changed, at, other.length - from);
                return changed;
        }
    }

    private static Map<String, byte[]> corpus() throws IOException, URISyntaxException {
        Path directory = Paths.get(
                PrincipalSerdeFuzzTest.class.getResource("/serde-corpus").toURI());
        Map<String, byte[]> corpus = new TreeMap<>();
        try (Stream<Path> files = Files.list(directory)) {
            for (Path file : (Iterable<Path>) files::iterator) {
                corpus.put(file.getFileName().toString(), Files.readAllBytes(file));
            }
        }
        return corpus;
    }
}
