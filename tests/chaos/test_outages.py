# SPDX-License-Identifier: Apache-2.0
"""OPA fails in every way under clients that work: they do not notice, and nobody else gets in."""

import re
import time

import pytest

from harness.clients import Client
from harness.faults import FAULTS, FaultProxy
from harness.jmx import counters
from harness.load import GIVE_UP_SECONDS, Consumer, Producer, is_let_in, seconds_of
from harness.processes import wait_until

# Decisions live shorter than a fault, so that it is the stale ones that carry the clients.
SETTINGS = {
    "doorkeeper.cache.ttl.allow.ms": 1000,
    "doorkeeper.cache.ttl.deny.ms": 1000,
    "doorkeeper.opa.poll.interval.ms": 200,
}
WORK = ["classic", "consumer"]  # topics, each named like the group protocol of its reader
DEADLINE_SECONDS = 2  # of a call: the longest that the settings allow
LOG_BYTES_A_SECOND_MAX = 200_000


def late_topic(fault):
    """Of clients that begin while this fault is on: nobody has asked for it before."""
    return "late-" + re.sub(r"\W", "-", fault)


def grants():
    topics = {topic: {"read": ["alice"], "write": ["alice"]} for topic in WORK}
    late = {late_topic(fault): {"read": ["carol"], "write": ["carol"]} for fault in FAULTS}
    return {"topics": topics | late | {"closed": {}}}


@pytest.fixture(scope="module")
def proxy(new_opa):
    opa = new_opa()
    opa.start()
    opa.publish("first", grants())
    proxy = FaultProxy(opa)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def cluster(proxy, new_cluster, pki):
    cluster = new_cluster(proxy.url, extra=SETTINGS)
    cluster.start()
    names = [*grants()["topics"]]
    assert Client(cluster, pki.identity("admin")).create_topics(names) is None
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def client(cluster, pki):
    return lambda name: Client(cluster, pki.identity(name))


@pytest.fixture(scope="module")
def load(client):
    """Producers and consumers that run through all faults; what became of them is asked at the end."""
    alice = client("alice")
    producers = {topic: Producer(alice, topic) for topic in WORK}
    consumers = {
        topic: Consumer(alice, topic, f"alice:{topic}", **{"group.protocol": topic})
        for topic in WORK
    }
    for consumer in consumers.values():
        consumer.wait_for(1)
    yield producers, consumers
    for one in [*producers.values(), *consumers.values()]:
        one.stop()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_lets_nobody_in_and_ends_by_itself(fault, proxy, cluster, client, load, request):
    seconds = request.config.getoption("--fault-seconds")
    log_bytes = cluster.broker.log_bytes()
    before = counters(cluster)
    end = time.monotonic() + seconds
    proxy.break_with(fault)
    late = Producer(client("carol"), late_topic(fault))
    refusals = []
    while time.monotonic() < end:
        refusals.append(seconds_of(lambda: refuse(client)))
    proxy.mend()
    recovery = seconds_of(lambda: wait_until("what began then works", lambda: late.acked))
    late.stop()
    after = counters(cluster)
    assert max(refusals) < GIVE_UP_SECONDS + DEADLINE_SECONDS + 2, "no call waits for long"
    assert late.errors == [], "it came up by itself"
    assert after["epochs"] == before["epochs"], "no policy changed"
    log_bytes = cluster.broker.log_bytes() - log_bytes
    assert log_bytes < LOG_BYTES_A_SECOND_MAX * (seconds + 10)
    request.config.outages.append(
        {
            "fault": fault,
            "answered by the last known decision": after["stale"] - before["stale"],
            "without a decision": after["unavailable"] + after["undefined"]
            - before["unavailable"] - before["undefined"],
            "longest refusal, s": f"{max(refusals):.1f}",
            "recovery, s": f"{recovery:.1f}",
            "broker log, KB": log_bytes // 1000,
        }
    )  # fmt: skip


def refuse(client):
    assert not is_let_in(client("mallory"), "closed")


def test_clients_that_worked_did_not_notice(cluster, load):
    producers, consumers = load
    for topic in WORK:
        sent = producers[topic].stop()
        assert producers[topic].errors == []
        assert producers[topic].acked == set(range(sent)), "no message was lost"
        consumers[topic].wait_for(sent)
        consumers[topic].stop()
        assert consumers[topic].errors == []
        assert sorted(consumers[topic].values) == list(range(sent)), "none is there twice"
    assert counters(cluster)["stale"] > 0, "and it was the last known decisions that carried them"
