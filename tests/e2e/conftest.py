# SPDX-License-Identifier: Apache-2.0
"""One authority, one OPA and one broker for most tests; those that break things make their own."""

import pytest

from harness.clients import Client
from harness.kafka import Cluster, Settings
from harness.opa import Opa
from harness.pki import Pki

TOPICS = ["orders", "secrets", "closed"]
GRANTS = {
    "topics": {
        "orders": {"read": ["alice", "bob"], "write": ["alice"]},
        "closed": {"read": ["alice"], "write": ["alice"]},
        "secrets": {},
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

    def make():
        made.append(Opa(tmp_path_factory.mktemp("opa")))
        return made[-1]

    yield make
    for opa in made:
        opa.close()


@pytest.fixture(scope="session")
def new_cluster(tmp_path_factory, pki):
    """Makes clusters, not started, and ends them."""
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
