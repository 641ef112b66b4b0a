# SPDX-License-Identifier: Apache-2.0
"""The decision log of a broker that is killed under load."""

import gzip
import json

import pytest

from harness.clients import Client
from harness.faulty_disk import FaultyDisk
from harness.jmx import counters
from harness.kafka import HAS_METRICS
from harness.load import Producer
from harness.processes import wait_until

DENIED = "TOPIC_AUTHORIZATION_FAILED"
MESSAGES = 50


@pytest.fixture
def decisions(tmp_path):
    return tmp_path / "decisions.jsonl"


@pytest.fixture(params=["every", "aggregated"])
def recorded_cluster(request, decisions, new_opa, new_cluster, pki):
    opa = new_opa()
    opa.start()
    opa.publish("first", {"topics": {"orders": {"write": ["alice"]}}})
    settings = {
        "doorkeeper.decision.log.file": decisions,
        "doorkeeper.decision.log.mode": request.param,
        "doorkeeper.decision.log.period.ms": 1000,
    }
    cluster = new_cluster(opa.url, extra=settings)
    cluster.start()
    assert Client(cluster, pki.identity("admin")).create_topic("orders") is None
    yield cluster
    cluster.stop()


@pytest.fixture
def disk(decisions, tmp_path):
    return FaultyDisk(decisions, tmp_path)


@pytest.fixture
def cluster_on_faulty_disk(decisions, disk, opa, new_cluster):
    settings = {
        "doorkeeper.decision.log.file": decisions,
        "doorkeeper.decision.log.mode": "every",
        "doorkeeper.decision.log.buffer.bytes": 65536,
        "doorkeeper.decision.log.rotate.bytes": 65536,
    }
    cluster = new_cluster(opa.url, environment=disk.environment, extra=settings)
    cluster.start()
    yield cluster
    cluster.stop()


def whole_lines(file):
    """A last line may be on its way."""
    text = file.read_text()
    return text[: text.rfind("\n") + 1]


def all_lines(file):
    """Those of the earlier files, too; one that is being packed is there twice."""
    packed = sorted(file.parent.glob(f"{file.name}.2*Z*.gz"))
    plain = [one for one in sorted(file.parent.glob(f"{file.name}.2*Z*")) if one.suffix not in (".gz", ".part")]
    texts = [gzip.decompress(one.read_bytes()).decode() for one in packed]
    texts += [one.read_text() for one in plain if one.with_name(one.name + ".gz") not in packed]
    return "".join([*texts, whole_lines(file)])


def count(text):
    return sum(json.loads(line).get("count", 1) for line in text.splitlines())


def outcomes(text, name, operation):
    """Every line must be an event."""
    return {
        event["doorkeeper"]["outcome"]
        for event in map(json.loads, text.splitlines())
        if event["input"]["principal"]["name"] == name
        and event["input"]["action"]["operation"] == operation
    }


def test_what_was_decided_outlives_a_broker_that_is_killed(recorded_cluster, decisions, pki):
    cluster = recorded_cluster
    bob = Client(cluster, pki.identity("bob"))
    assert bob.produce("orders", "x") == DENIED
    load = Producer(Client(cluster, pki.identity("alice")), "orders")
    wait_until("alice works", lambda: len(load.acked) > MESSAGES)
    wait_until(
        "it is written", lambda: outcomes(whole_lines(decisions), "alice", "WRITE") == {"ALLOW"}
    )
    if HAS_METRICS:
        seen = counters(cluster)
        assert seen["decisions-lost"] == 0
        assert count(whole_lines(decisions)) >= seen["decisions-recorded"] > 0
    cluster.broker.process.kill()
    left = whole_lines(decisions)
    assert outcomes(left, "bob", "DESCRIBE") == {"DENY"}
    cluster.broker.start()
    cluster.wait_for_clients()
    wait_until("alice works again", lambda: len(load.acked) > 2 * MESSAGES)
    load.stop()
    cluster.stop()
    text = decisions.read_text()
    assert text.startswith(left), "what was whole is still there"
    assert len(text) > len(left), "and it goes on behind it"
    assert outcomes(text, "alice", "WRITE") == {"ALLOW"}


@pytest.mark.skipif(not HAS_METRICS, reason="shows by metrics what is lost")
@pytest.mark.parametrize("fault", ["full", "hangs"])
def test_a_disk_that_takes_nothing_delays_nobody(
    cluster_on_faulty_disk, disk, decisions, pki, fault
):
    cluster = cluster_on_faulty_disk
    assert Client(cluster, pki.identity("admin")).create_topic("orders") is None
    load = Producer(Client(cluster, pki.identity("alice")), "orders")
    wait_until("it is written", lambda: "alice" in whole_lines(decisions))
    with disk.that(fault):
        wait_until("decisions are lost", lambda: counters(cluster)["decisions-lost"] > 0, 120)
        acked = len(load.acked)
        wait_until("alice works on", lambda: len(load.acked) > acked + MESSAGES)
    recorded = counters(cluster)["decisions-recorded"]
    wait_until("the log goes on", lambda: counters(cluster)["decisions-recorded"] > recorded)
    load.stop()
    assert load.errors == []
    seen = wait_until("all is written or lost", lambda: settled(cluster))
    cluster.stop()
    assert len(list(decisions.parent.glob(f"{decisions.name}.2*"))) > 0, "there are earlier files"
    assert count(all_lines(decisions)) >= seen["decisions-recorded"]


def settled(cluster):
    """The counters, when what was decided is recorded or lost."""
    seen = counters(cluster)
    decided = seen["hits"] + seen["misses"] + seen["rules"]
    return seen if seen["decisions-recorded"] + seen["decisions-lost"] == decided else None
