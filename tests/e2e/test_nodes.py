# SPDX-License-Identifier: Apache-2.0
"""A broker and a controller of their own processes, through an OPA that comes and goes."""

import signal

import pytest

from harness.clients import Client
from harness.jmx import counters
from harness.kafka import HAS_METRICS
from harness.processes import wait_until

DENIED = "TOPIC_AUTHORIZATION_FAILED"
START_WAIT_MS = 500
GRANTS = {
    "topics": {
        "orders": {"write": ["alice"]},
        "more": {"write": ["alice"]},
        "made-by-alice": {"create": ["alice"]},
    }
}


@pytest.fixture(scope="module")
def opa(new_opa):
    return new_opa()


@pytest.fixture(scope="module")
def cluster(new_cluster, opa):
    """Started while nothing listens where OPA should."""
    settings = {
        "doorkeeper.start.wait.ms": START_WAIT_MS,
        "doorkeeper.opa.poll.interval.ms": 200,
    }
    cluster = new_cluster(opa.url, separate_controller=True, extra=settings)
    cluster.start()
    yield cluster
    cluster.stop()
    opa.stop()


@pytest.fixture
def alice(cluster, pki):
    return Client(cluster, pki.identity("alice"))


@pytest.fixture
def admin(cluster, pki):
    return Client(cluster, pki.identity("admin"))


def is_granted(client, topic):
    return client.produce(topic, b"x") is None


def epochs(cluster):
    return counters(cluster)["epochs"] if HAS_METRICS else None


# The tests below tell one story, in this order.


def test_without_opa_nodes_start_and_super_users_work(cluster, alice, admin):
    warning = f"OPA was not ready within {START_WAIT_MS} ms"
    wait_until("the broker says so", lambda: warning in cluster.broker.log_text())
    for topic in ["orders", "more"]:
        assert admin.create_topic(topic) is None
    assert alice.produce("orders", b"x") == DENIED
    line = cluster.broker.wait_for_audit_line("User:alice", "TOPIC:LITERAL:orders")
    assert "outcome = UNAVAILABLE, source = none" in line


def test_an_opa_without_its_bundle_lets_nobody_in(cluster, opa, alice):
    opa.start()
    wait_until("it is seen", lambda: "has no result" in cluster.broker.log_text())
    assert alice.produce("orders", b"x") == DENIED


def test_when_the_bundle_comes_its_grants_hold(cluster, opa, alice):
    opa.publish("first", GRANTS)
    wait_until("alice may write", lambda: is_granted(alice, "orders"))
    ready = f"OPA at {opa.url} is ready"
    wait_until("the controller knows it, too", lambda: ready in cluster.controller.log_text())


def test_a_topic_is_created_where_the_controller_allows_it(cluster, alice, pki):
    assert alice.create_topic("made-by-alice") is None, cluster.controller.audit_lines()[-5:]
    line = cluster.controller.wait_for_audit_line("User:alice", "TOPIC:LITERAL:made-by-alice")
    assert "is Allowed operation = CREATE" in line and "outcome = ALLOW" in line
    assert alice.create_topic("not-granted") == DENIED
    assert Client(cluster, pki.identity("bob")).create_topic("made-by-bob") == DENIED


def test_when_opa_is_killed_what_is_cached_still_holds(cluster, opa, alice, admin):
    opa.process.kill()
    assert is_granted(alice, "orders")
    assert alice.produce("more", b"x") == DENIED
    assert admin.create_topic("made-by-admin") is None


def test_when_opa_hangs_calls_end_by_their_deadline(cluster, opa, alice):
    opa.start()
    wait_until("alice may write", lambda: is_granted(alice, "more"))
    opa.process.signal(signal.SIGSTOP)
    try:
        assert alice.topics() == ["more", "orders"], "what is cached still holds"
        assert alice.create_topic("asked-while-hanging") == DENIED
        line = cluster.controller.wait_for_audit_line("TOPIC:LITERAL:asked-while-hanging")
        assert "outcome = UNAVAILABLE" in line
    finally:
        opa.process.signal(signal.SIGCONT)


def test_a_restart_without_bundle_or_data_is_no_change_of_policy(cluster, opa, alice):
    wait_until("OPA is back", lambda: alice.create_topic("made-by-alice") != DENIED)
    before = epochs(cluster)
    opa.stop()
    opa.bundles.withdraw()
    opa.start()
    assert is_granted(alice, "orders"), "what is cached still holds"
    opa.bundles.publish("without-topics", {})
    wait_until("the bundle is active", lambda: opa.active_revision() == "without-topics")
    assert is_granted(alice, "orders"), "no result, so no decision and no new epoch"
    assert epochs(cluster) == before


def test_a_new_revision_ends_what_was_cached(opa, alice):
    opa.publish("second", {"topics": {"more": {"write": ["alice"]}}})
    wait_until("the grant is gone", lambda: alice.produce("orders", b"x") == DENIED)
    assert is_granted(alice, "more")
