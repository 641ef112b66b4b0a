# SPDX-License-Identifier: Apache-2.0
"""Who a client is: with and without the principal builder, without a certificate, after its end."""

import pytest

from harness.clients import SECONDS, Client, tls_refusal
from harness.kafka import PRINCIPAL_BUILDER
from harness.processes import wait_until

TOPIC_DENIED = "TOPIC_AUTHORIZATION_FAILED"
CERTIFICATE_SECONDS = 6
GRANTS = {
    "topics": {
        "orders": {"read": ["alice"], "write": ["alice"]},
        "made-by-alice": {"create": ["alice"]},
    },
}


# ---- a certificate's end, at the shared broker ----------------------------------------------


def test_a_certificate_that_ends_is_denied_on_its_live_connection(cluster, pki):
    """No super user excepted. Only the old connection can answer: a new one does not come about."""
    ivan, admin = (pki.intermediate.issue(name, CERTIFICATE_SECONDS) for name in ("ivan", "admin"))
    producer, super_user = Client(cluster, ivan).producer(), Client(cluster, admin).admin()
    assert error_of_writing(producer) is None
    assert "secrets" in shown_to(super_user)
    wait_until("ivan is denied", lambda: error_of_writing(producer) == TOPIC_DENIED)
    wait_until("the super user is denied", lambda: shown_to(super_user) == [])
    assert tls_refusal(cluster, ivan) is not None
    line = cluster.broker.wait_for_audit_line("User:ivan is Denied", "TOPIC:LITERAL:orders")
    assert "outcome = DENY, source = rule" in line


def error_of_writing(producer):
    errors = []
    producer.produce("orders", b"x", on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(SECONDS) == 0
    return errors[0] and errors[0].name()


def shown_to(admin):
    return sorted(admin.list_topics(timeout=SECONDS).topics)


# ---- names alone ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain_cluster(new_cluster, new_opa, pki):
    """The plain authorizer. Clients need no certificate, and only INTERNAL has the builder."""
    opa = new_opa()
    opa.start()
    opa.publish("first", GRANTS)
    settings = {
        "ssl.client.auth": "requested",
        "listener.name.internal.principal.builder.class": PRINCIPAL_BUILDER,
    }
    cluster = new_cluster(opa.url, monitorable=False, principal_builder=False, extra=settings)
    cluster.start()
    assert Client(cluster, pki.identity("admin")).create_topic("orders") is None
    yield cluster
    cluster.stop()


def test_without_the_builder_names_are_enough(plain_cluster, pki):
    log = plain_cluster.broker.log_text()
    assert "authorizer.class.name = io.doorkeeper.kafka.DoorkeeperAuthorizer\n" in log
    assert "principal.builder.class = class io.doorkeeper" not in log
    alice, bob = (Client(plain_cluster, pki.identity(name)) for name in ("alice", "bob"))
    assert alice.produce("orders", b"x") is None
    assert alice.consume("orders", 1) == ([b"x"], None)
    assert alice.create_topic("made-by-alice") is None, "forwarded to the controller"
    assert bob.produce("orders", b"x") == TOPIC_DENIED
    assert bob.create_topic("made-by-bob") == TOPIC_DENIED


@pytest.mark.parametrize("with_builder", [False, True])
def test_who_shows_no_certificate_is_anonymous(with_builder, plain_cluster):
    port = plain_cluster.internal_port if with_builder else plain_cluster.client_port
    before = len(plain_cluster.broker.audit_lines())
    assert Client(plain_cluster, None, port).produce("orders", b"x") == TOPIC_DENIED
    wait_until(
        "an audit line about User:ANONYMOUS",
        lambda: any(
            line.startswith("INFO Principal = User:ANONYMOUS is Denied operation = DESCRIBE")
            and "TOPIC:LITERAL:orders" in line
            for line in plain_cluster.broker.audit_lines()[before:]
        ),
    )


def test_a_principal_that_the_controller_cannot_read_fails_its_request_only(plain_cluster, pki):
    """The builder on a broker's listener only: what docs/guide.md warns of under "Moving in"."""
    alice = Client(plain_cluster, pki.identity("alice"), plain_cluster.internal_port)
    assert alice.produce("orders", b"x") is None
    assert alice.create_topic("made-by-alice") == "UNKNOWN"
    assert "PrincipalDeserializationException" in plain_cluster.controller.log_text()
    assert alice.produce("orders", b"x") is None
    same = Client(plain_cluster, pki.identity("alice"))
    assert same.create_topic("made-by-alice") == "TOPIC_ALREADY_EXISTS"
