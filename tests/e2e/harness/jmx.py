# SPDX-License-Identifier: Apache-2.0
"""The core's counters and the broker's own figures, as its JMX shows them."""

import re

from .kafka import JMX_TOOL

OBJECTS = "kafka.server:type=plugins,config=authorizer.class.name"


def counters(cluster):
    """By name; needs a broker with the monitorable authorizer, so Kafka 4.1."""
    return counters_by_role(cluster)["broker"]


def counters_by_role(cluster):
    """Those of the broker, and in a combined node those of the controller."""
    output = _report(cluster, f"{OBJECTS},class=*,role=*")
    line = rf"^{re.escape(OBJECTS)},class=\w+,role=(\w+):([a-z-]+)=(\d+)$"
    roles = {}
    for role, name, value in re.findall(line, output, re.MULTILINE):
        roles.setdefault(role, {})[name] = int(value)
    assert roles, output
    return roles


def mean_times(cluster, requests=("Produce", "FetchConsumer", "Metadata")):
    """For "request time", how many requests there were and their milliseconds together.

    The broker rounds each to whole milliseconds.
    """
    wanted = [(request, kind) for request in requests for kind in ("Total", "Local")]
    objects = {
        f"kafka.network:type=RequestMetrics,name={kind}TimeMs,request={request}": (
            f"{request} {kind.lower()}"
        )
        for request, kind in wanted
    }
    output = _report(cluster, *objects)
    times = {}
    for name, label in objects.items():
        values = dict(re.findall(rf"^{re.escape(name)}:(Count|Mean)=(\S+)$", output, re.MULTILINE))
        count = int(values["Count"])
        times[label] = (count, count * float(values["Mean"]) if count else 0.0)
    return times


def _report(cluster, *objects):
    url = f"service:jmx:rmi:///jndi/rmi://127.0.0.1:{cluster.jmx_port}/jmxrmi"
    names = [part for name in objects for part in ("--object-name", name)]
    output, status = cluster.run_tool(
        JMX_TOOL, "--jmx-url", url, *names, "--one-time", "--report-format", "properties"
    )
    assert status == 0, output
    return output
