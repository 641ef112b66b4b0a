# SPDX-License-Identifier: Apache-2.0
"""What clients of opa-kafka-plugin see in the same outages. It asserts nothing about the plugin."""

import pytest
from families import FAMILIES, JAVA_CLASSES
from harness import REPOSITORY
from harness.faults import FAULTS, FLAPPING, FaultProxy
from harness.opa import Opa
from outages import Calls, Outages

JARS = REPOSITORY / ".dev" / "opa-kafka-plugin" / "*"
POLICY = REPOSITORY / "tests" / "chaos" / "plugin" / "policy.rego"
PATIENCE_SECONDS = 15
# These are answers to Doorkeeper's questions, and no faults to the plugin.
OF_DOORKEEPER = {"true", "wrong lengths", "out of range", "duplicates"}


class PluginsOpa(Opa):
    """With the policy for the plugin's questions, which needs no data."""

    def _config(self):
        return {}

    def _arguments(self):
        return [*super()._arguments(), POLICY]


@pytest.fixture(scope="module")
def proxy(new_opa):
    opa = new_opa(PluginsOpa)
    opa.start()
    proxy = FaultProxy(opa)
    yield proxy
    proxy.stop()


# The TTL that decisions of Doorkeeper have in these outages, and the plugin's default.
@pytest.fixture(params=[1, 3600], ids=lambda seconds: f"cached for {seconds} s")
def cache_seconds(request):
    return request.param


@pytest.fixture
def calls(tmp_path):
    return Calls(tmp_path / "calls")


@pytest.fixture
def cluster(cache_seconds, calls, proxy, new_cluster):
    """One for each fault: the plugin remembers what it took for a decision."""
    cluster = new_cluster(
        proxy.url,
        principal_builder=False,
        class_path=[JARS, JAVA_CLASSES],
        extra=calls.settings("org.openpolicyagent.kafka.OpaAuthorizer")
        | {
            "opa.authorizer.url": f"{proxy.url}/v1/data/plugin/allow",
            "opa.authorizer.cache.expire.after.seconds": cache_seconds,
        },
    )
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def outages(cluster, calls, proxy, pki, tmp_path):
    outages = Outages(cluster, calls, proxy, pki, tmp_path, PATIENCE_SECONDS)
    yield outages
    outages.stop()


@pytest.mark.parametrize("fault", [one for one in FAULTS | FLAPPING if one not in OF_DOORKEEPER])
def test_report(cache_seconds, fault, outages, request):
    workers = outages.start_workers(fault, FAMILIES)
    seen = outages.observe(fault, request.config.getoption("--fault-seconds"), workers, FAMILIES)
    let_in = {"let in": "yes" if seen.let_in else "no"}
    request.config.rows.append({"cached for, s": cache_seconds} | seen.row() | let_in)
