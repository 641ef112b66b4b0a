# SPDX-License-Identifier: Apache-2.0
"""Clients in this process (confluent-kafka), and what a bare TLS connection sees."""

import logging
import socket
import ssl
import struct
import uuid

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from .processes import wait_until

SECONDS = 20

# librdkafka's own lines: the tests look at errors, people at the demo.
_QUIET = logging.getLogger("librdkafka")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False


class Client:
    """One identity at one cluster. Each method opens a connection of its own.

    Without an identity it shows no certificate; `port` is another listener's.
    """

    def __init__(self, cluster, identity, port=None):
        self.name = "nobody" if identity is None else identity.name
        self._settings = cluster.client_settings(identity, port)

    def admin(self) -> AdminClient:
        return AdminClient(self._settings, logger=_QUIET)

    def topics(self):
        """The names of the topics that this client is shown."""
        return sorted(self.admin().list_topics(timeout=SECONDS).topics)

    def create_topic(self, name, partitions=1):
        """Returns the error's name, None for none."""
        return self.create_topics([name], partitions)

    def create_topics(self, names, partitions=1):
        """The same, of the first error."""
        admin = self.admin()  # ends what it began when it goes
        futures = admin.create_topics([NewTopic(name, partitions, 1) for name in names])
        errors = [_error_of(lambda: future.result(SECONDS)) for future in futures.values()]
        return next(filter(None, errors), None)

    def producer(self, **settings) -> Producer:
        return Producer(self._settings | settings, logger=_QUIET)

    def produce(self, topic, *values, **settings):
        """Returns the name of the first error, None if every value was written."""
        errors = []
        producer = self.producer(**{"message.timeout.ms": SECONDS * 1000, **settings})
        for value in values:
            producer.produce(topic, value, on_delivery=lambda error, _: errors.append(error))
        left = producer.flush(SECONDS)
        assert left == 0 and len(errors) == len(values), f"{left} of {len(values)} never ended"
        return next((error.name() for error in errors if error is not None), None)

    def consumer(self, group, **settings) -> Consumer:
        own = {"group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
        return Consumer(self._settings | own | settings, logger=_QUIET)

    def consume(self, topic, count, group=None, **settings):
        """Returns (values, None), or ([], name of the error). Commits what it read."""
        consumer = self.consumer(group or f"{self.name}:{uuid.uuid4().hex}", **settings)
        values = []
        try:
            consumer.subscribe([topic])
            error = wait_until(
                f"{self.name} reads {count} of {topic}",
                lambda: self._take(consumer, values, count),
                2 * SECONDS,
                every=0,
            )
            if error is not True:
                return [], error
            consumer.commit(asynchronous=False)
            return values, None
        except KafkaException as e:
            return [], e.args[0].name()
        finally:
            consumer.close()

    @staticmethod
    def _take(consumer, values, count):
        """True when all is read, an error's name when there is one, None to go on."""
        message = consumer.poll(0.5)
        if message is None or _may_pass(message.error()):
            return None
        if message.error():
            return message.error().name()
        values.append(message.value())
        return True if len(values) == count else None


def _may_pass(error):
    return error is not None and (error.retriable() or error.code() == KafkaError._PARTITION_EOF)


def _error_of(action):
    try:
        action()
    except KafkaException as e:
        return e.args[0].name()
    return None


def tls_refusal(cluster, identity):
    """The TLS alert by which the broker refuses this certificate; None if it answers a request."""
    context = ssl.create_default_context(cafile=str(cluster.pki.truststore))
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)
    # ApiVersions version 0, correlation id 7, no client id; TLS 1.3 tells of refusal at first read.
    request = struct.pack(">hhih", 18, 0, 7, -1)
    try:
        with socket.create_connection(("localhost", cluster.client_port), SECONDS) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                connection.sendall(struct.pack(">i", len(request)) + request)
                return None if connection.recv(4) else "closed without an answer"
    except ssl.SSLError as e:
        return e.reason
    except ConnectionResetError:
        return "CONNECTION_RESET"
