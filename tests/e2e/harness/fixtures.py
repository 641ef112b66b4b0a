# SPDX-License-Identifier: Apache-2.0
"""What tests make clusters of, and what ends them."""

import pytest

from .kafka import DOORKEEPER, Cluster, Settings
from .opa import Opa
from .pki import Pki


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
