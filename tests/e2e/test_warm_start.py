# SPDX-License-Identifier: Apache-2.0
"""A broker that is restarted asks OPA again what its clients asked before, before they come."""

import re
import stat

import pytest

from harness.clients import Client
from harness.jmx import counters
from harness.kafka import HAS_METRICS
from harness.processes import wait_until

DENIED = "TOPIC_AUTHORIZATION_FAILED"
TOPICS = ["orders", "closed", "more"]
GRANTS = {
    "topics": {
        "orders": {"read": ["alice"], "write": ["alice"]},
        "more": {"write": ["bob"]},
    }
}
LINE = r"warm start: questions asked of OPA again: (\d+),.* of another cluster: (\d+)"


@pytest.fixture(scope="module")
def opa(new_opa):
    opa = new_opa()
    opa.start()
    opa.publish("first", GRANTS)
    yield opa
    opa.stop()


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    return tmp_path_factory.mktemp("warm") / "questions"


@pytest.fixture(scope="module")
def cluster(new_cluster, opa, pki, questions):
    settings = {
        "doorkeeper.warm.start.file": questions,
        # Nothing is to be asked anew for its age while the test runs.
        "doorkeeper.cache.ttl.allow.ms": 3600000,
        "doorkeeper.cache.ttl.deny.ms": 3600000,
    }
    cluster = new_cluster(opa.url, extra=settings)
    cluster.start()
    admin = Client(cluster, pki.identity("admin"))
    assert admin.create_topics(TOPICS) is None
    yield cluster
    cluster.stop()


def use(cluster, pki):
    """What the clients do, before and after."""
    alice = Client(cluster, pki.identity("alice"))
    bob = Client(cluster, pki.identity("bob"))
    assert alice.produce("orders", b"x") is None
    assert alice.produce("closed", b"x") == DENIED
    assert alice.topics() == ["orders"]
    assert bob.produce("more", b"x") is None
    assert bob.produce("orders", b"x") == DENIED


def warm_starts(cluster):
    """What the broker has said of each so far: (asked again, of another cluster)."""
    return [tuple(map(int, found)) for found in re.findall(LINE, cluster.broker.log_text())]


def restart(cluster):
    before = len(warm_starts(cluster))
    cluster.broker.stop()
    cluster.broker.start()
    cluster.wait_for_clients()
    wait_until("the warm start is over", lambda: len(warm_starts(cluster)) > before)
    return warm_starts(cluster)[-1]


# The tests below tell one story, in this order.


def test_after_a_restart_the_same_questions_are_hits(cluster, pki, questions):
    use(cluster, pki)
    assert warm_starts(cluster) == [], "there was nothing to begin with"
    asked, foreign = restart(cluster)
    assert asked > 0 and foreign == 0
    assert stat.S_IMODE(questions.stat().st_mode) == 0o600
    use(cluster, pki)
    if HAS_METRICS:
        after = counters(cluster)
        assert after["misses"] == 0 and after["hits"] > 0, after
        assert after["questions"] == after["warm-start-questions"] == asked, after


def test_what_the_policy_denies_by_then_is_denied(cluster, opa, pki):
    cluster.broker.stop()
    opa.publish("second", {"topics": {"orders": {"read": ["alice"], "describe": ["alice"]}}})
    cluster.broker.start()
    cluster.wait_for_clients()
    wait_until("the warm start is over", lambda: len(warm_starts(cluster)) == 2)
    alice = Client(cluster, pki.identity("alice"))
    assert alice.produce("orders", b"x") == DENIED
    assert alice.topics() == ["orders"]


def test_a_broken_file_is_said_and_the_broker_comes_up(cluster, pki, questions):
    cluster.broker.stop()
    questions.write_bytes(questions.read_bytes()[:-1])
    cluster.broker.start()
    cluster.wait_for_clients()
    warning = f"doorkeeper.warm.start.file={questions}: broken from byte "
    wait_until("it is said", lambda: warning in cluster.broker.log_text())
    assert Client(cluster, pki.identity("alice")).topics() == ["orders"]
