# SPDX-License-Identifier: Apache-2.0
"""OPA fails in every way; nobody is let in, nothing of it is remembered, and it ends by itself."""

import re
import time
from datetime import datetime, timedelta

import pytest

from harness.clients import Client
from harness.faults import FAULTS, FaultProxy
from harness.jmx import counters
from harness.kafka import HAS_METRICS
from harness.processes import wait_until

DENIED = "TOPIC_AUTHORIZATION_FAILED"
# The deadline is 200 ms; the rest is for a client that connects, on a busy machine.
DENIAL_SECONDS = 5
# Lines of one kind are ten seconds apart when they are made, and a little less when written.
APART = timedelta(seconds=9)
# What the faults make the broker's log say, by the words that lines of one kind begin with.
KINDS = {
    "OPA answered _ with HTTP",
    "OPA answers without a policy",
    "OPA's answer to _ is",
    "OPA at _ did not",
    "OPA at _ cannot be",
    "OPA at _ sent an",
}


def topic_of(fault):
    return "of-" + re.sub(r"\W", "-", fault)


@pytest.fixture(scope="module")
def proxy(new_opa):
    opa = new_opa()
    opa.start()
    topics = {topic_of(fault): {"write": ["alice"]} for fault in FAULTS}
    opa.publish("first", {"topics": topics | {"known": {"write": ["alice"]}}})
    proxy = FaultProxy(opa)
    yield proxy
    proxy.stop()
    opa.stop()


@pytest.fixture(scope="module")
def broken_cluster(proxy, new_cluster, pki):
    cluster = new_cluster(proxy.url, extra={"doorkeeper.opa.poll.interval.ms": 200})
    cluster.start()
    admin = Client(cluster, pki.identity("admin"))
    for fault in FAULTS:
        assert admin.create_topic(topic_of(fault)) is None
    assert admin.create_topic("known") is None
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def alice(broken_cluster, pki):
    return Client(broken_cluster, pki.identity("alice"))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_opa_lets_nobody_in_and_is_not_remembered(fault, proxy, broken_cluster, alice):
    topic = topic_of(fault)
    assert alice.produce("known", b"before") is None
    before = counters(broken_cluster) if HAS_METRICS else None
    proxy.break_with(fault)
    began = time.monotonic()
    assert alice.produce(topic, b"during") == DENIED
    assert time.monotonic() - began < DENIAL_SECONDS
    line = broken_cluster.broker.wait_for_audit_line(f"TOPIC:LITERAL:{topic}", "Denied")
    assert re.search(r"outcome = (UNAVAILABLE|UNDEFINED), source = (opa|none)", line), line
    assert alice.produce("known", b"during") is None, "what is cached stays true"
    proxy.mend()
    wait_until("alice may write again", lambda: alice.produce(topic, b"after") is None, every=0.2)
    if HAS_METRICS:
        after = counters(broken_cluster)
        assert after["opa-failures"] > before["opa-failures"]
        assert after["epochs"] == before["epochs"], "no revision changed"


def test_each_kind_of_fault_is_told_and_none_floods_the_log(broken_cluster):
    told = {}
    for when, line in doorkeepers_lines(broken_cluster.broker):
        told.setdefault(kind_of(line), []).append(when)
    assert KINDS <= told.keys()
    for kind, times in told.items():
        assert all(b - a > APART for a, b in zip(times, times[1:])), (kind, times)
    assert broken_cluster.broker.process.is_running


def doorkeepers_lines(broker):
    """Warnings and errors of the logger io.doorkeeper.kafka, with their times."""
    found = re.findall(r"^\[(.+?)\] (?:WARN|ERROR) kafka: (.*)", broker.log_text(), re.MULTILINE)
    return [(datetime.strptime(when, "%Y-%m-%d %H:%M:%S,%f"), line) for when, line in found]


def kind_of(line):
    """Its first words, with "_" for the address or path of OPA."""
    return " ".join("_" if "/" in word else word for word in line.split()[:5])
