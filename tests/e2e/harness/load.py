# SPDX-License-Identifier: Apache-2.0
"""Clients that work all the time and remember what became of it."""

import threading
import time

from confluent_kafka import KafkaException

from .processes import wait_until

A_SECOND = 50  # messages
PATIENCE_SECONDS = 60
GIVE_UP_SECONDS = 1.5


class Producer:
    """Sends numbered messages at a steady pace, idempotently, until it is stopped."""

    def __init__(self, client, topic, **settings):
        self.errors = []
        self.acked = set()
        self._topic = topic
        self._stopping = threading.Event()
        self._producer = client.producer(**{"enable.idempotence": True, "linger.ms": 5, **settings})
        self._thread = threading.Thread(target=self._run)
        self._sent = 0
        self._thread.start()

    def _run(self):
        try:
            while not self._stopping.is_set():
                value = str(self._sent).encode()
                self._producer.produce(self._topic, value, on_delivery=self._on_delivery)
                self._sent += 1
                self._producer.poll(1 / A_SECOND)
        except KafkaException as e:
            self.errors.append(e.args[0].name())

    def _on_delivery(self, error, message):
        if error is None:
            self.acked.add(int(message.value()))
        else:
            self.errors.append(error.name())

    def stop(self):
        """Returns how many were sent, when all of them have ended; does not wait after errors."""
        self._stopping.set()
        self._thread.join()
        if not self.errors:
            left = self._producer.flush(PATIENCE_SECONDS)
            assert left == 0, f"{left} messages of {self._topic} have not ended"
        return self._sent


class Consumer:
    """Reads and commits until it is stopped."""

    def __init__(self, client, topic, group, **settings):
        self.errors = []
        self.values = []
        self._consumer = client.consumer(group, **settings)
        self._consumer.subscribe([topic])
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._stopping.is_set():
            try:
                self._take(self._consumer.poll(0.2))
            except KafkaException as e:
                self.errors.append(e.args[0].name())

    def _take(self, message):
        if message is None:
            return
        if message.error() is None:
            self.values.append(int(message.value()))
            self._consumer.commit(message)
        elif not message.error().retriable():
            self.errors.append(message.error().name())

    def wait_for(self, count):
        wait_until(f"{count} messages are read", lambda: len(set(self.values)) >= count,
                   PATIENCE_SECONDS)  # fmt: skip

    def stop(self):
        self._stopping.set()
        self._thread.join()
        self._consumer.close()


def is_let_in(client, topic):
    """Whether a message could be written; gives up soon, however the client would go on."""
    settings = {"message.timeout.ms": int(GIVE_UP_SECONDS * 1000)}
    return client.produce(topic, b"x", **settings) is None


def seconds_of(action):
    began = time.monotonic()
    action()
    return time.monotonic() - began
