# SPDX-License-Identifier: Apache-2.0
"""The core's counters, as the broker's JMX shows them."""

import re

from .kafka import JMX_TOOL

OBJECTS = "kafka.server:type=plugins,config=authorizer.class.name"


def counters(cluster):
    """By name; needs a broker with the monitorable authorizer, so Kafka 4.1."""
    return counters_by_role(cluster)["broker"]


def counters_by_role(cluster):
    """Those of the broker, and in a combined node those of the controller."""
    url = f"service:jmx:rmi:///jndi/rmi://127.0.0.1:{cluster.jmx_port}/jmxrmi"
    output, status = cluster.run_tool(
        JMX_TOOL,
        *("--jmx-url", url, "--object-name", f"{OBJECTS},class=*,role=*"),
        *("--one-time", "--report-format", "properties"),
    )
    line = rf"^{re.escape(OBJECTS)},class=\w+,role=(\w+):([a-z-]+)=(\d+)$"
    roles = {}
    for role, name, value in re.findall(line, output, re.MULTILINE):
        roles.setdefault(role, {})[name] = int(value)
    assert status == 0 and roles, output
    return roles
