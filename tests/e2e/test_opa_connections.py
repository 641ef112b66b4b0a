# SPDX-License-Identifier: Apache-2.0
"""OPA behind https with a client certificate and a token, and OPA on a Unix socket."""

import pytest

from harness.clients import Client
from harness.opa import SocketOpa, TlsOpa
from harness.processes import wait_until

DENIED = "TOPIC_AUTHORIZATION_FAILED"
GRANTS = {"topics": {"orders": {"write": ["alice"]}}}
TOKEN = "right-token"


@pytest.fixture
def start_cluster(new_cluster, pki):
    started = []

    def start(opa_url, **settings):
        extra = {"doorkeeper.on.unavailable": "deny", **settings}
        started.append(new_cluster(opa_url, extra=extra))
        started[-1].start()
        assert Client(started[-1], pki.identity("admin")).create_topic("orders") is None
        return started[-1]

    yield start
    for cluster in started:
        cluster.stop()


def assert_opa_is_asked(cluster, pki):
    assert Client(cluster, pki.identity("mallory")).produce("orders", b"x") == DENIED
    line = cluster.broker.wait_for_audit_line("User:mallory is Denied", "outcome = DENY")
    assert "source = opa, revision = authz=first" in line


def test_https_with_certificate_and_token(start_cluster, new_opa, pki, tmp_path):
    """OPA wants both; a token that is replaced is noticed without a restart."""
    opa = new_opa(TlsOpa, pki, TOKEN)
    opa.start()
    opa.publish("first", GRANTS)
    token = tmp_path / "token"
    token.write_text("wrong-token")
    doorkeeper = pki.identity("doorkeeper")
    cluster = start_cluster(opa.url, **{
        "doorkeeper.opa.ca.file": pki.truststore,
        "doorkeeper.opa.certificate.file": doorkeeper.certificate,
        "doorkeeper.opa.key.file": doorkeeper.key,
        "doorkeeper.opa.token.file": token,
        "doorkeeper.start.wait.ms": 0,
    })  # fmt: skip
    alice = Client(cluster, pki.identity("alice"))
    assert alice.produce("orders", b"x") == DENIED
    wait_until("it says so", lambda: "with HTTP status 401" in cluster.broker.log_text())
    token.write_text(TOKEN)
    wait_until("alice may write", lambda: alice.produce("orders", b"x") is None)
    assert_opa_is_asked(cluster, pki)
    log = cluster.broker.log_text()
    assert TOKEN not in log and "wrong-token" not in log, "tokens are not for logs"


def test_unix_socket(start_cluster, new_opa, pki):
    opa = new_opa(SocketOpa)
    opa.start()
    opa.publish("first", GRANTS)
    cluster = start_cluster(opa.url)
    assert Client(cluster, pki.identity("alice")).produce("orders", b"x") is None
    assert_opa_is_asked(cluster, pki)
