# SPDX-License-Identifier: Apache-2.0
"""What is loaded, and how often there is one of it."""

import platform

import pytest

from harness.jmx import counters_by_role
from harness.kafka import HAS_METRICS


def test_the_library_comes_out_of_the_jar(cluster):
    name = f"native/linux-{platform.machine()}/libdoorkeeper.so"
    assert f"the core was loaded from the jar's {name}" in cluster.broker.log_text()


def test_a_combined_node_has_one_core(cluster):
    assert cluster.broker is cluster.controller
    assert cluster.broker.log_text().count("memory is fixed from here on") == 1


@pytest.mark.skipif(not HAS_METRICS, reason="authorizers have metrics from Kafka 4.1 on")
def test_both_roles_of_a_combined_node_show_the_same_counters(cluster, client):
    assert client("alice").topics(), "asked by the broker"
    assert client("alice").create_topic("not-granted") is not None, "asked by the controller"
    roles = counters_by_role(cluster)
    # Those that rest while nobody but super users asks.
    still = ["hits", "misses", "questions", "opa-requests", "unavailable"]
    of_broker, of_controller = (
        [roles[role][name] for name in still] for role in ("broker", "controller")
    )
    assert of_broker == of_controller and roles["broker"]["questions"] > 0
