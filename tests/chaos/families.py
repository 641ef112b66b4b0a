# SPDX-License-Identifier: Apache-2.0
"""Clients of every kind. Those of one library are a family, which works on a topic of its own."""

import json
import os
import subprocess
import threading
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field

from harness import REPOSITORY
from harness.clients import Client
from harness.kafka import java
from harness.load import Consumer, Producer
from harness.processes import wait_until

JAVA_CLASSES = REPOSITORY / "build" / "chaos"
KAFKAJS = REPOSITORY / ".dev" / "kafkajs" / "node_modules"
PAUSE_SECONDS = 0.05  # between two messages
KCAT_READS = 1024  # bytes of its input at once, or it waits for more
END_SECONDS = 60


@dataclass
class Record:
    """What became of a client: the numbers of the messages that it wrote or read, its errors."""

    done: Collection = field(default_factory=list)
    errors: list = field(default_factory=list)


class Librdkafka:
    """The clients of confluent-kafka, in this process."""

    name = "librdkafka"
    has_begun = True

    def __init__(self, cluster, identity, topic, *_):
        client = Client(cluster, identity)

        def consumer(protocol):
            group = f"{identity.name}:{topic}:{protocol}"
            return Consumer(client, topic, group, **{"group.protocol": protocol})

        self._producer = Producer(client, topic)
        self._classic, self._kip_848 = consumer("classic"), consumer("consumer")
        self.clients = {
            "producer": Record(self._producer.acked, self._producer.errors),
            "classic": Record(self._classic.values, self._classic.errors),
            "KIP-848": Record(self._kip_848.values, self._kip_848.errors),
        }

    def stop_producing(self):
        """Returns how many messages were sent, when every one of them has ended."""
        return self._producer.stop()

    def stop(self):
        self._classic.stop()
        self._kip_848.stop()
        self._producer.stop()


class Child:
    """A process of whose output each line is taken; its end is told if nobody asked for it."""

    def __init__(self, command, log, take, on_end, environment=None):
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            start_new_session=True,
        )
        self._asked_to_end = False
        self._reader = threading.Thread(target=self._read, args=[log, take, on_end])
        self._reader.start()

    def _read(self, log, take, on_end):
        with log.open("a") as copy:
            for line in self._process.stdout:
                copy.write(line)
                take(line.rstrip("\n"))
        if not self._asked_to_end:
            on_end()

    def write(self, line):
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def end_input(self):
        self._asked_to_end = True
        with suppress(BrokenPipeError):  # it may have ended by itself
            self._process.stdin.close()

    def wait(self):
        self._process.wait(END_SECONDS)
        self._reader.join()

    def stop(self):
        self.end_input()
        self._process.terminate()
        try:
            self.wait()
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.wait()


class Program:
    """A process that is a whole family: lines "CLIENT EVENT DETAIL", the first when it begins."""

    def __init__(self, command, log, clients, environment=None):
        self.clients = {client: Record() for client in clients}
        self.has_begun = False
        self._sent = None
        self._child = Child(command, log, self._take, self._on_end, environment)

    def _take(self, line):
        self.has_begun = True
        match line.split(" ", 2):
            case [client, "did", number]:
                self.clients[client].done.append(int(number))
            case [client, "error", error]:
                self.clients[client].errors.append(error)
            case [_, "sent", number]:
                self._sent = int(number)

    def _on_end(self):
        for record in self.clients.values():
            record.errors.append("the process ended")

    def stop_producing(self):
        self._child.end_input()
        return wait_until("the producer has ended", lambda: self._sent, END_SECONDS)

    def stop(self):
        self._child.stop()


class Java(Program):
    """Kafka's own library: also a transactional copier and an admin client."""

    name = "Java"

    def __init__(self, cluster, identity, topic, copies, directory):
        properties = cluster.java_client_properties(identity)
        main = ["JavaClients", properties, cluster.bootstrap, identity.name, topic, copies]
        clients = ["producer", "classic", "KIP-848", "transactional"]
        clients += ["admin", "describeTopics"]
        command = java(main=main, class_path=[JAVA_CLASSES])
        super().__init__(command, directory / f"{topic}.log", clients)


class Kafkajs(Program):
    name = "kafkajs"

    def __init__(self, cluster, identity, topic, _, directory):
        settings = directory / f"{topic}.json"
        settings.write_text(json.dumps(cluster.client_settings(identity)))
        script = REPOSITORY / "tests" / "chaos" / "kafkajs" / "clients.js"
        command = ["node", script, settings, identity.name, topic]
        environment = os.environ | {"NODE_PATH": str(KAFKAJS)}
        clients = ["producer", "classic"]
        super().__init__(command, directory / f"{topic}.log", clients, environment)


class Kcat:
    """Two processes: one that is fed with numbers, and one that prints what it reads."""

    name = "kcat"
    has_begun = True

    def __init__(self, cluster, identity, topic, _, directory):
        self.clients = {"producer": Record(), "classic": Record()}
        # Without -E it ends when its connections are closed, as those of its principal may be.
        kcat = ["kcat", "-E", *[f"-X{k}={v}" for k, v in cluster.client_settings(identity).items()]]
        # -vv tells of each message that was delivered.
        write = [*kcat, "-Xenable.idempotence=true", "-vv", "-P", "-t", topic]
        read = [*kcat, "-Xauto.offset.reset=earliest", "-q", "-u"]
        read += ["-G", f"{identity.name}:{topic}", topic]
        self._producer = self._child("producer", write, self._take_delivery, directory, topic)
        self._consumer = self._child("classic", read, self._take_message, directory, topic)
        self._sent = 0
        self._stopping = threading.Event()
        self._feeder = threading.Thread(target=self._feed)
        self._feeder.start()

    def _child(self, client, command, take, directory, topic):
        record = self.clients[client]
        log = directory / f"{topic}-{client}.log"
        return Child(
            command, log, lambda line: take(record, line), lambda: record.errors.append("it ended")
        )

    @staticmethod
    def _take_delivery(record, line):
        if line.startswith("% Message delivered"):
            record.done.append(len(record.done))  # they are delivered in order
        elif line.startswith("% Delivery failed"):
            record.errors.append(line)

    @staticmethod
    def _take_message(record, line):
        if line.isdecimal():
            record.done.append(int(line))

    def _feed(self):
        try:
            while not self._stopping.wait(PAUSE_SECONDS):
                self._producer.write(f"{self._sent:0{KCAT_READS - 1}}\n")
                self._sent += 1
        except BrokenPipeError:
            pass  # its end is told

    def _stop_feeding(self):
        self._stopping.set()
        self._feeder.join()

    def stop_producing(self):
        self._stop_feeding()
        self._producer.end_input()
        self._producer.wait()
        return self._sent

    def stop(self):
        self._stop_feeding()
        self._producer.stop()
        self._consumer.stop()


# Clients without messages: they only ask.
ASKERS = {"admin", "describeTopics"}
FAMILIES = [Librdkafka, Kcat, Kafkajs, Java]
