# SPDX-License-Identifier: Apache-2.0
"""OPA fails in every way; nobody is let in, nothing of it is remembered, and it ends by itself."""

import re

import pytest

from harness.clients import Client
from harness.faults import FAULTS, FaultProxy
from harness.jmx import counters
from harness.processes import wait_until

DENIED = "TOPIC_AUTHORIZATION_FAILED"


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


@pytest.fixture(scope="module")
def broken_cluster(proxy, new_cluster, pki):
    cluster = new_cluster(proxy.url, extra={"doorkeeper.opa.poll.interval.ms": 200})
    cluster.start()
    admin = Client(cluster, pki.identity("admin"))
    for fault in FAULTS:
        assert admin.create_topic(topic_of(fault)) is None
    assert admin.create_topic("known") is None
    return cluster


@pytest.fixture(scope="module")
def alice(broken_cluster, pki):
    return Client(broken_cluster, pki.identity("alice"))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_opa_lets_nobody_in_and_is_not_remembered(fault, proxy, broken_cluster, alice):
    topic = topic_of(fault)
    assert alice.produce("known", b"before") is None
    epochs = counters(broken_cluster)["epochs"]
    proxy.break_with(fault)
    assert alice.produce(topic, b"during") == DENIED
    line = broken_cluster.broker.wait_for_audit_line(f"TOPIC:LITERAL:{topic}", "Denied")
    assert re.search(r"outcome = (UNAVAILABLE|UNDEFINED), source = (opa|none)", line), line
    assert alice.produce("known", b"during") is None, "what is cached stays true"
    proxy.mend()
    wait_until("alice may write again", lambda: alice.produce(topic, b"after") is None, every=0.2)
    assert counters(broken_cluster)["epochs"] == epochs, "no revision changed"
