# SPDX-License-Identifier: Apache-2.0
"""The brokers that are compared: the same but for their authorizer, all alive at the same time."""

from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)
from harness import REPOSITORY
from harness.clients import SECONDS, Client
from harness.kafka import VERSION, Cluster, Settings
from harness.opa import Opa

STANDARD = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
PLUGIN = "org.openpolicyagent.kafka.OpaAuthorizer"
PLUGIN_RULE = Path(__file__).with_name("plugin.rego")
# Of Kafka's start script, with what the machines of a bench have.
JAVA_FLAGS = ["-Xms1g", "-Xmx1g", "-XX:TieredStopAtLevel=4", "-XX:+UseG1GC"]
JAVA_FLAGS += ["-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35"]
TOPICS_AT_ONCE = 500


class PluginOpa(Opa):
    """Answers the plugin's questions, too, by the same policy."""

    def _arguments(self):
        return [*super()._arguments(), PLUGIN_RULE]


class Column:
    """One broker, and clients of it."""

    def __init__(self, name, directory, pki, opa, **settings):
        self.name = name
        self.pki = pki
        self.cluster = Cluster(directory, pki, opa.url, Settings(**settings))

    def client(self, name):
        return Client(self.cluster, self.pki.identity(name))

    def start(self):
        self.cluster.start()

    @property
    def pid(self):
        return self.cluster.broker.process.pid

    def create_topics(self, names):
        for first in range(0, len(names), TOPICS_AT_ONCE):
            error = self.client("admin").create_topics(names[first : first + TOPICS_AT_ONCE])
            assert error is None, f"{self.name}: {error}"

    def allow_all(self):
        """For StandardAuthorizer: as few ACLs as there can be, which is what it is fastest with."""
        wanted = [
            (ResourceType.TOPIC, AclOperation.READ),
            (ResourceType.TOPIC, AclOperation.WRITE),
            (ResourceType.GROUP, AclOperation.READ),
        ]
        acls = [
            AclBinding(
                kind, "*", ResourcePatternType.LITERAL, "User:*", "*", operation,
                AclPermissionType.ALLOW,
            )
            for kind, operation in wanted
        ]  # fmt: skip
        admin = self.client("admin").admin()  # ends what it began when it goes
        for future in admin.create_acls(acls).values():
            future.result(SECONDS)


def make(directory, pki, opa):
    """In the order in which they take turns."""

    def column(name, authorizer, jars=(), **extra):
        settings = {"authorizer.class.name": authorizer} if authorizer is not None else {}
        return Column(
            name, directory / name, pki, opa, principal_builder=authorizer is None,
            java_flags=JAVA_FLAGS, class_path=list(jars), extra=settings | extra,
            audit_level="INFO",
        )  # fmt: skip

    plugin_settings = {
        "opa.authorizer.url": f"{opa.url}/v1/data/bench/broker/allow",
        "opa.authorizer.cache.maximum.size": 262144,  # as Doorkeeper's default
    }
    return [
        column("doorkeeper", None),
        column("standard", STANDARD),
        column("none", ""),
        column("plugin", PLUGIN, plugin_jars(), **plugin_settings),
    ]


def plugin_jars():
    """What the plugin brings along that a broker does not have."""
    kafka = {jar.name for jar in (REPOSITORY / ".dev" / f"kafka-{VERSION}").glob("*.jar")}
    paths = (REPOSITORY / "bench" / "target" / "class-path").read_text().strip().split(":")
    jars = [Path(path) for path in paths]
    return [jar for jar in jars if jar.name not in kafka and not jar.name.startswith("doorkeeper")]
