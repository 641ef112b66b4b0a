# SPDX-License-Identifier: Apache-2.0
"""A policy of 5,000 topics, a flood of names that nobody asked before, and a log that blocks."""

import fcntl
import os
import select
import signal
import threading
import time

import pytest
from confluent_kafka import TopicCollection

from harness.clients import SECONDS, Client
from harness.faults import FaultProxy
from harness.processes import wait_until

DENIED = "TOPIC_AUTHORIZATION_FAILED"
POLICY_TOPICS = 5000
TOPICS = 1000
# app-7 may have every 100th topic, beginning with topic-0007.
APPS = 100
CONNECTIONS = 8  # of the flood; a broker has as many request threads
NAMES_AT_ONCE = 1000
# While OPA is slow it answers 400 questions a second. What one client may have in the queue then
# takes longer than the deadline, and the flood asks for much more.
SETTINGS = {
    # What is refused is told at once, so that the flood goes on.
    "doorkeeper.on.unavailable": "deny",
    "doorkeeper.deadline.ms": 1000,
    "doorkeeper.queue.entries": 4096,
    "doorkeeper.opa.connections": 1,
    "doorkeeper.opa.batch.max": 20,
}
OPA_SECONDS = 0.05
# What is refused comes back at once; it is the broker that is to be busy, not this process.
PAUSE_SECONDS = 0.1
# For what takes milliseconds when nobody waits for the log.
PROMPT_SECONDS = 5


def topic(number):
    return f"topic-{number:04}"


def topics_of(app):
    return [topic(n) for n in range(TOPICS) if n % APPS == app]


def grants():
    def grant(n):
        return {"read": [f"app-{n % APPS}"], "write": [f"app-{n % APPS}"]}

    return {"topics": {topic(n): grant(n) for n in range(POLICY_TOPICS)}}


class FullPipe:
    """A FIFO that takes no more: whoever writes to it waits until it is emptied."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path = path
        # Both ends are open, so that whoever opens it to write need not wait for a reader.
        self._end = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._size = fcntl.fcntl(self._end, fcntl.F_GETPIPE_SZ)
        os.write(self._end, bytes(self._size))

    def is_full(self):
        return not select.select([], [self._end], [], 0)[1]

    def empty(self):
        """Takes out what is in it now."""
        try:
            return os.read(self._end, self._size)
        except BlockingIOError:
            return b""

    def close(self):
        os.close(self._end)


@pytest.fixture(scope="module")
def audit_log(tmp_path_factory):
    pipe = FullPipe(tmp_path_factory.mktemp("log") / "audit")
    yield pipe
    pipe.close()


@pytest.fixture(scope="module")
def proxy(new_opa):
    opa = new_opa()
    opa.start()
    opa.publish("first", grants())
    proxy = FaultProxy(opa)
    yield proxy
    proxy.stop()
    opa.stop()


@pytest.fixture(scope="module")
def cluster(new_cluster, proxy, pki, audit_log):
    """From its start on, nothing of what it decides can be logged."""
    cluster = new_cluster(proxy.url, audit_log=audit_log.path, extra=SETTINGS)
    cluster.start()
    admin = Client(cluster, pki.identity("admin"))
    assert admin.create_topics(map(topic, range(TOPICS))) is None
    assert admin.produce(topic(TOPICS - 1), b"x") is None, "by now the broker leads them all"
    yield cluster
    cluster.stop()


@pytest.fixture
def app(cluster, pki):
    """app(7) is the client app-7."""
    return lambda number: Client(cluster, pki.identity(f"app-{number}"))


def test_a_client_is_shown_its_own_of_many_topics(app):
    assert len(topics_of(7)) == 10
    assert app(7).topics() == topics_of(7)
    assert app(7).produce(topic(8), b"x") == DENIED


class Flood:
    """Connections of one client that ask for long lists of ever new topics, until it ends."""

    def __init__(self, client):
        self._asked = [0] * CONNECTIONS
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(client.admin(), n), daemon=True)
            for n in range(CONNECTIONS)
        ]

    @property
    def asked(self):
        return sum(self._asked)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join(2 * SECONDS)

    def _run(self, admin, connection):
        while not self._ended.wait(PAUSE_SECONDS):
            first = self._asked[connection]
            names = [f"flood-{connection}-{n}" for n in range(first, first + NAMES_AT_ONCE)]
            described = admin.describe_topics(TopicCollection(names))
            assert described[names[-1]].exception(SECONDS).args[0].name() == DENIED
            self._asked[connection] += NAMES_AT_ONCE


@pytest.fixture
def slow_opa(proxy):
    proxy.delay_seconds = OPA_SECONDS
    yield
    proxy.delay_seconds = 0


def test_a_flood_of_one_client_leaves_others_their_answers(cluster, pki, app, slow_opa):
    with Flood(Client(cluster, pki.identity("mallory"))) as flood:
        wait_until("the flood is under way", lambda: flood.asked >= CONNECTIONS * NAMES_AT_ONCE)
        before = flood.asked
        for number in range(20, 26):
            assert app(number).produce(topic(number), b"x") is None, "a cold question"
        assert flood.asked > before, "it went on meanwhile"


def test_a_log_that_blocks_delays_no_decision(cluster, app, audit_log):
    """It has been blocked since the start. Afterwards the log says how many lines were lost."""
    began = time.monotonic()
    assert app(40).produce(topic(40), b"x") is None
    assert app(40).produce(topic(41), b"x") == DENIED
    assert time.monotonic() - began < PROMPT_SECONDS
    lost = "log lines were lost: the ring was full"
    assert audit_log.is_full() and lost not in cluster.broker.log_text()
    assert audit_log.empty().strip(b"\0") == b"", "not one line came through"

    def goes_on():
        audit_log.empty()
        return lost in cluster.broker.log_text()

    wait_until("the log goes on", goes_on)


def test_a_log_that_blocks_does_not_hold_a_broker_that_ends(cluster, audit_log):
    wait_until("older lines block the log again", audit_log.is_full)
    cluster.stop()
    assert cluster.broker.process.exit_status == 128 + signal.SIGTERM, "it had not to be killed"
