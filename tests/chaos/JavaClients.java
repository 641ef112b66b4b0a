// SPDX-License-Identifier: Apache-2.0

import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Clients of every kind on one topic: JavaClients PROPERTIES BROKER USER TOPIC COPIES. A line
 * "CLIENT EVENT DETAIL" tells what happens to one of them. As in most applications an exception
 * ends a client; who describes topics asks again. The end of the standard input ends the producer.
 */
final class JavaClients {
    private static final Duration POLL = Duration.ofMillis(200);
    private static final int PAUSE_MS = 50; // between two messages, or two questions of the admin

    private static final String PATIENCE_MS = "600000";

    private final Properties common;
    private final String user;
    private final String topic;
    private final String copies;
    private volatile boolean producing = true;

    private JavaClients(Properties common, String user, String topic, String copies) {
        this.common = common;
        this.user = user;
        this.topic = topic;
        this.copies = copies;
    }

    public static void main(String[] arguments) throws Exception {
        Properties common = new Properties();
        try (Reader file = Files.newBufferedReader(Path.of(arguments[0]))) {
            common.load(file);
        }
        common.put("bootstrap.servers", arguments[1]);
        // Their own minute, which clients that begin in a long outage would use up.
        common.put("max.block.ms", PATIENCE_MS);
        common.put("default.api.timeout.ms", PATIENCE_MS);
        JavaClients clients =
                new JavaClients(common, arguments[2], arguments[3], arguments[4]);
        try (Admin admin = Admin.create(common)) {
            admin.describeCluster().nodes().get(); // so that the rest begins without delay
        }
        tell("all", "begin", "");
        start("producer", clients::produce);
        start("classic", () -> clients.consume("classic", "classic"));
        start("KIP-848", () -> clients.consume("KIP-848", "consumer"));
        start("transactional", clients::copy);
        start("admin", clients::administer);
        start("describeTopics", clients::describeTopics);
        while (System.in.read() != -1) {
            // Only its end means something.
        }
        clients.producing = false;
    }

    private interface Work {
        void run() throws Exception;
    }

    private static void start(String client, Work work) {
        new Thread(() -> {
            try {
                work.run();
            } catch (Exception e) {
                tell(client, "error", e);
            }
        }).start();
    }

    private static void tell(String client, String event, Object detail) {
        System.out.println(client + " " + event + " " + detail);
    }

    private void produce() throws Exception {
        int sent = 0;
        try (KafkaProducer<String, String> producer = producer(Map.of())) {
            for (; producing; sent++) {
                String number = Integer.toString(sent);
                producer.send(new ProducerRecord<>(topic, number), (metadata, error) -> {
                    if (error == null) {
                        tell("producer", "did", number);
                    } else {
                        tell("producer", "error", error);
                    }
                });
                Thread.sleep(PAUSE_MS);
            }
        }
        tell("producer", "sent", sent);
    }

    private void consume(String client, String protocol) {
        try (KafkaConsumer<String, String> consumer = consumer(client, protocol)) {
            while (true) {
                ConsumerRecords<String, String> records = consumer.poll(POLL);
                records.forEach(record -> tell(client, "did", record.value()));
                consumer.commitSync();
            }
        }
    }

    /** Reads, writes and commits each batch as one. */
    private void copy() {
        String id = user + ":" + topic;
        try (KafkaConsumer<String, String> consumer = consumer("copier", "classic");
                KafkaProducer<String, String> producer = producer(Map.of("transactional.id", id))) {
            producer.initTransactions();
            while (true) {
                ConsumerRecords<String, String> records = consumer.poll(POLL);
                if (!records.isEmpty()) {
                    producer.beginTransaction();
                    for (ConsumerRecord<String, String> record : records) {
                        producer.send(new ProducerRecord<>(copies, record.value()));
                    }
                    producer.sendOffsetsToTransaction(
                            positions(consumer), consumer.groupMetadata());
                    producer.commitTransaction();
                    records.forEach(record -> tell("transactional", "did", record.value()));
                }
            }
        }
    }

    private static Map<TopicPartition, OffsetAndMetadata> positions(
            KafkaConsumer<String, String> consumer) {
        Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();
        for (TopicPartition partition : consumer.assignment()) {
            positions.put(partition, new OffsetAndMetadata(consumer.position(partition)));
        }
        return positions;
    }

    private void administer() throws Exception {
        TopicPartition partition = new TopicPartition(topic, 0);
        try (Admin admin = Admin.create(common)) {
            for (int done = 0;; done++) {
                admin.listOffsets(Map.of(partition, OffsetSpec.latest())).all().get();
                admin.listConsumerGroupOffsets(group("classic")).all().get();
                tell("admin", "did", done);
                Thread.sleep(PAUSE_MS);
            }
        }
    }

    /** It is also told what it may do with a topic, so it depends on what it may not do. */
    private void describeTopics() throws Exception {
        try (Admin admin = Admin.create(common)) {
            for (int done = 0;; done++) {
                try {
                    admin.describeTopics(List.of(topic)).allTopicNames().get();
                    tell("describeTopics", "did", done);
                } catch (ExecutionException e) {
                    tell("describeTopics", "error", e);
                }
                Thread.sleep(PAUSE_MS);
            }
        }
    }

    private KafkaProducer<String, String> producer(Map<String, String> more) {
        Properties settings = new Properties();
        settings.putAll(common);
        settings.putAll(more);
        return new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
    }

    private KafkaConsumer<String, String> consumer(String client, String protocol) {
        Properties settings = new Properties();
        settings.putAll(common);
        settings.put("group.id", group(client));
        settings.put("group.protocol", protocol);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(
                settings, new StringDeserializer(), new StringDeserializer());
        consumer.subscribe(List.of(topic));
        return consumer;
    }

    private String group(String client) {
        return user + ":" + topic + ":" + client;
    }
}
