# SPDX-License-Identifier: Apache-2.0
"""`doorkeeper replay topic:NAME`: what may lie in a topic, on the way to it, and in its file."""

import gzip
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer

from harness import COMMAND, OPA, REPOSITORY
from harness.clients import SECONDS, Client
from harness.opa import bundle
from harness.processes import Process, free_ports, wait_until

PRINCIPALS = [f"user-{number}" for number in range(20)]
EVENTS = 2000
GRANTS = {
    "topics": {
        "orders": {"read": PRINCIPALS, "write": ["alice"]},
        "decisions": {"read": ["auditor"], "write": ["shipper"]},
    },
    "cluster": {"kafka-cluster": {}},
}


class SlowWay:
    """Between clients and a broker, on `port`: every byte comes `seconds` later."""

    def __init__(self, seconds):
        self.seconds = seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.target = None
        self._sockets = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            self._sockets += [client, server]
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source, sink):
        """Bytes with the time at which they may go on."""
        waiting = []
        try:
            while True:
                left = waiting[0][0] - time.monotonic() if waiting else None
                if waiting and left <= 0:
                    sink.sendall(waiting.pop(0)[1])
                elif select.select([source], [], [], left)[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    waiting.append((time.monotonic() + self.seconds, data))
        except (OSError, ValueError):
            return
        finally:
            sink.close()

    def close(self):
        for one in self._sockets:
            one.close()


@pytest.fixture(scope="module")
def way():
    one = SlowWay(0)
    yield one
    one.close()


@pytest.fixture(scope="module")
def broker(new_opa, new_cluster, pki, way, tmp_path_factory):
    """Its clients come over `way`. It records its decisions in broker.recorded."""
    opa = new_opa()
    opa.start()
    opa.publish("first", GRANTS)
    recorded = tmp_path_factory.mktemp("recorded") / "decisions.jsonl"
    port, internal, controller = free_ports(3)
    listeners = {
        "listeners": f"CLIENT://localhost:{port},INTERNAL://localhost:{internal},"
        f"CONTROLLER://localhost:{controller}",
        "controller.quorum.voters": f"1@localhost:{controller}",
        "advertised.listeners": f"CLIENT://localhost:{way.port},INTERNAL://localhost:{internal}",
    }
    cluster = new_cluster(
        opa.url,
        extra=listeners
        | {
            "doorkeeper.decision.log.file": recorded,
            "doorkeeper.decision.log.period.ms": 1000,
        },
    )
    cluster.client_port = way.target = port
    cluster.recorded = recorded
    cluster.start()
    cluster.client_port = way.port
    yield cluster
    way.seconds = 0
    cluster.client_port = port
    cluster.stop()


@pytest.fixture
def config(broker, pki, tmp_path):
    def write(name, *more):
        path = tmp_path / f"{name}.conf"
        settings = broker.client_settings(pki.identity(name))
        lines = [f"{key}={value}" for key, value in settings.items()]
        path.write_text("\n".join([*lines, *more, ""]))
        return path

    return write


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.tar.gz"
    path.write_bytes(bundle("same", GRANTS))
    return path


@pytest.fixture
def replay(config, policy):
    def run(topic, *arguments, name="admin", more=()):
        command = [COMMAND, "replay", topic, "--policy", policy, "--opa-binary", OPA]
        command += ["--kafka-config", config(name, *more), "--output", "json", *arguments]
        return subprocess.run(command, capture_output=True, timeout=120, check=False)

    return run


def event(name, number=0):
    question = {
        "version": 1,
        "cluster": {"id": "x"},
        "principal": {"type": "User", "name": name},
        "client": {"listener": "CLIENT", "forwarded": False},
        "action": {
            "operation": "READ",
            "resource": {"type": "TOPIC", "name": "orders", "pattern": "LITERAL"},
        },
    }
    second = f"{number // 60 % 60:02}:{number % 60:02}"
    return {
        "input": question,
        "result": True,
        "path": "kafka/authz/allow",
        "timestamp": f"2026-03-01T00:{second}Z",
    }


def produce(broker, pki, topic, messages, partitions=4, **settings):
    """messages: pairs of a key and a value."""
    admin = Client(broker, pki.identity("admin"))
    if topic not in admin.topics():
        assert admin.create_topic(topic, partitions) is None
    producer = admin.producer(**settings)
    for key, value in messages:
        producer.produce(topic, value, key)
        producer.poll(0)
    assert producer.flush(SECONDS) == 0
    return producer


def events():
    return [event(PRINCIPALS[n % len(PRINCIPALS)], n) for n in range(EVENTS)]


def keyed(list_of_events):
    return [(one["input"]["principal"]["name"], json.dumps(one)) for one in list_of_events]


def report_of(run, status=0):
    assert run.returncode == status, run.stderr.decode()
    return json.loads(run.stdout)


def test_sums_are_those_of_the_file_and_shares_add_up(broker, pki, replay, tmp_path):
    produce(broker, pki, "many", keyed(events()), partitions=5)
    file = tmp_path / "log.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in events()))
    whole = report_of(replay("topic:many"))
    assert whole["log"]["decisions"] == EVENTS
    halves = [report_of(replay("topic:many", "--share", f"{half}/2")) for half in (1, 2)]
    for of in ("decisions", "questions"):
        assert sum(one["totals"]["unchanged"][of] for one in halves) == (
            whole["totals"]["unchanged"][of]
        )
    both = report_of(replay("topic:many", file))
    assert both["log"]["decisions"] == 2 * EVENTS


SPOILERS = {
    "half of gzip": b"\x1f\x8b",
    "gzip": gzip.compress(json.dumps(event("user-0")).encode()),
    "an open array": b"[",
    "zero": b"\x00",
}


@pytest.mark.parametrize("first", SPOILERS.values(), ids=SPOILERS)
def test_one_message_spoils_no_other(broker, pki, replay, tmp_path, first):
    """Whatever it is, it is at most one that cannot be read."""
    topic = f"spoiled-{len(first)}-{first[0]}"
    produce(broker, pki, topic, [("a", first), *keyed(events())], partitions=1)
    file = tmp_path / "other.jsonl"
    file.write_text(json.dumps(event("user-1")) + "\n")
    report = report_of(replay(f"topic:{topic}", file))
    assert report["log"]["decisions"] >= EVENTS + 1
    assert report["log"]["unreadable"] <= 1


def test_line_breaks_tombstones_and_markers(broker, pki, replay):
    """An event over several lines is one; a partition may end with what is no message."""
    produce(broker, pki, "odd", [("a", json.dumps(event("user-0"), indent=1)), ("a", None)], 1)
    for end in (Producer.commit_transaction, Producer.abort_transaction):
        producer = Client(broker, pki.identity("admin")).producer(**{"transactional.id": "t"})
        producer.init_transactions(SECONDS)
        producer.begin_transaction()
        producer.produce("odd", json.dumps(event("user-1")), "a")
        producer.flush(SECONDS)
        end(producer, SECONDS)
    report = report_of(replay("topic:odd"))
    assert report["log"]["decisions"] == 2
    assert report["log"]["unreadable"] == 0


def test_a_group_in_the_file_is_left_alone(broker, pki, replay):
    produce(broker, pki, "grouped", keyed(events()), 1)
    report_of(replay("topic:grouped", more=["group.id=of-others", "auto.commit.interval.ms=10"]))
    admin = Client(broker, pki.identity("admin")).admin()
    (offsets,) = admin.list_consumer_group_offsets(
        [ConsumerGroupTopicPartitions("of-others")]
    ).values()
    committed = offsets.result(SECONDS).topic_partitions
    assert [one.offset for one in committed if one.offset >= 0] == []
    assert "of-others" not in broker.broker.log_text()


@pytest.mark.parametrize("seconds", [0.15, 0.3])
def test_a_broker_that_is_far_away(broker, pki, replay, way, seconds):
    topic = f"far-{seconds}"
    produce(broker, pki, topic, keyed(events()), 1)
    way.seconds = seconds
    try:
        assert report_of(replay(f"topic:{topic}"))["log"]["decisions"] == EVENTS
    finally:
        way.seconds = 0


def test_it_ends_where_the_topic_ended_when_it_began(broker, pki, replay):
    """Somebody goes on writing all the time."""
    produce(broker, pki, "busy", keyed(events()), 2)
    stop = threading.Event()

    def write():
        producer = Client(broker, pki.identity("admin")).producer()
        while not stop.is_set():
            producer.produce("busy", json.dumps(event("user-3")), "user-3")
            producer.poll(0.001)
        producer.flush(SECONDS)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert report_of(replay("topic:busy"))["log"]["decisions"] >= EVENTS
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize(
    "lines, words",
    [
        (["# no broker", "security.protocol=ssl"], "bootstrap.servers"),
        (["bootstrap.servers=x:1", "", "nope=hunter2"], "line 3: nope: "),
        (["bootstrap.servers=x:1", "security.protocol=hunter2"], "line 2: security.protocol: "),
    ],
)
def test_what_is_wrong_with_the_file_is_said(policy, tmp_path, lines, words):
    config = tmp_path / "kafka.conf"
    config.write_text("\n".join(lines) + "\n")
    command = [COMMAND, "replay", "topic:x", "--kafka-config", config, "--policy", policy]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 2
    assert words in run.stderr and "hunter2" not in run.stderr, run.stderr


def test_a_signal_ends_it_while_nobody_answers(policy, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = tmp_path / "kafka.conf"
        config.write_text(f"bootstrap.servers=127.0.0.1:{silent.getsockname()[1]}\n")
        command = [COMMAND, "replay", "topic:x", "--kafka-config", config, "--policy", policy]
        process = Process(command, tmp_path / "replay.log", os.environ)
        silent.settimeout(SECONDS)
        with silent.accept()[0]:
            process.signal(signal.SIGINT)
            assert process.wait(10) == 2
    assert "stopped" in process.tail()


def test_the_documented_shipper_end_to_end(broker, pki, config, replay, tmp_path):
    """The commands of docs/audit.md, as they stand there, while the broker records."""
    recorded = broker.recorded
    assert Client(broker, pki.identity("admin")).create_topics(["orders", "decisions"], 3) is None
    text = (REPOSITORY / "docs" / "audit.md").read_text()
    start = text.index("    tail -n +1 -F decisions.jsonl")
    pipeline = text[start : text.index("\n\n", start)]
    (tmp_path / "kcat.conf").write_text(config("shipper").read_text())
    pipeline = pipeline.replace("decisions.jsonl", str(recorded)).replace(
        "kcat.conf", str(tmp_path / "kcat.conf")
    )
    shipper = subprocess.Popen(["bash", "-c", pipeline], start_new_session=True)
    try:
        assert Client(broker, pki.identity("alice")).produce("orders", b"x") is None
        assert Client(broker, pki.identity("mallory")).produce("orders", b"x") is not None

        def is_there():
            run = replay("topic:decisions", "--principal", "mallory", name="auditor")
            return run.returncode == 0 and json.loads(run.stdout)["log"]["decisions"] > 0

        wait_until("mallory's denial is in the topic", is_there, 60)
        run = replay("topic:decisions", "--principal", "shipper", name="auditor")
        assert run.returncode == 2 and b"no decisions to compare" in run.stderr, run.stderr
    finally:
        os.killpg(shipper.pid, signal.SIGTERM)
        shipper.wait()
