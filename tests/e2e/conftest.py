# SPDX-License-Identifier: Apache-2.0
"""One authority, one OPA and one broker for most tests; those that break things make their own."""

import pytest

from harness.clients import Client
from harness.kafka import DOORKEEPER, Cluster, Settings
from harness.opa import Opa
from harness.pki import Pki

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
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def new_opa(tmp_path_factory):
    """Makes OPAs, not started, and ends them."""
    made = []

    def make(kind=Opa, *arguments):
        made.append(kind(tmp_path_factory.mktemp("opa"), *arguments))
        return made[-1]

    yield make
    for opa in made:
        opa.close()


@pytest.fixture(scope="session")
def new_cluster(tmp_path_factory, pki):
    """Makes clusters, not started, and ends those that are left."""
    assert DOORKEEPER.exists(), "./dev package builds what is tested here"
    made = []

    def make(opa_url, **settings):
        cluster = Cluster(tmp_path_factory.mktemp("kafka"), pki, opa_url, Settings(**settings))
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.stop()


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
