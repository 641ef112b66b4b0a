# SPDX-License-Identifier: Apache-2.0
"""One authority, one OPA and one broker for most tests; those that break things make their own."""

import pytest

from harness.clients import Client
from harness.fixtures import new_cluster, new_opa, pki  # noqa: F401

LONGEST_NAME = "n" * 249
TOPICS = ["orders", "secrets", "closed", "copies", "tools", LONGEST_NAME]
GRANTS = {
    "topics": {
        "orders": {"read": ["alice", "bob", "ivan"], "write": ["alice", "ivan"]},
        "closed": {"read": ["alice"], "write": ["alice"]},
        "secrets": {},
        "copies": {"read": ["alice"], "write": ["alice"]},
        "tools": {"read": ["julia"], "write": ["julia"]},
        LONGEST_NAME: {"write": ["nora"]},
        "made-by-alice": {"create": ["alice"]},
    },
    "cluster": {"kafka-cluster": {}},
}


@pytest.fixture(scope="session")
def opa(new_opa):
    one = new_opa()
    one.start()
    one.publish("first", GRANTS)
    return one


@pytest.fixture(scope="session")
def cluster(new_cluster, pki, opa):
    one = new_cluster(opa.url)
    one.start()
    admin = Client(one, pki.identity("admin"))
    for topic in TOPICS:
        assert admin.create_topic(topic) is None
    return one


@pytest.fixture
def client(cluster, pki):
    """client("alice") of the shared broker."""
    return lambda name: Client(cluster, pki.identity(name))
