# SPDX-License-Identifier: Apache-2.0
"""The core's counters, as the broker's JMX shows them."""

import re

AUTHORIZER = "MonitorableDoorkeeperAuthorizer"
OBJECT = (
    f"kafka.server:type=plugins,config=authorizer.class.name,class={AUTHORIZER},role=broker"
)


def counters(cluster):
    """By name; needs a broker with the monitorable authorizer, so Kafka 4.1."""
    url = f"service:jmx:rmi:///jndi/rmi://127.0.0.1:{cluster.jmx_port}/jmxrmi"
    output, status = cluster.run_tool(
        "org.apache.kafka.tools.JmxTool",
        *("--jmx-url", url, "--object-name", OBJECT),
        *("--one-time", "--report-format", "properties"),
    )
    found = re.findall(rf"^{re.escape(OBJECT)}:([a-z-]+)=(\d+)$", output, re.MULTILINE)
    assert status == 0 and found, output
    return {name: int(value) for name, value in found}
