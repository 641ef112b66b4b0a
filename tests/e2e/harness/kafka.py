# SPDX-License-Identifier: Apache-2.0
"""Real Kafka nodes from the jars on Maven Central, with mutual TLS on every listener."""

import base64
import os
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from . import REPOSITORY
from .pki import MAPPING_RULES, Identity, Pki
from .processes import Process, free_ports, is_listening, wait_until

START_SECONDS = 120
# What `./dev package` builds: the library is in the jar, and none lies beside it.
DOORKEEPER = REPOSITORY / "build" / "package" / "target" / "doorkeeper.jar"

PRINCIPAL_BUILDER = "io.doorkeeper.kafka.DoorkeeperPrincipalBuilder"

_LOGGING = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="WARN">
  <Appenders>
    <File name="server" fileName="{directory}/server.log">
      <PatternLayout pattern="[%d] %p %c{{1}}: %m%n"/>
    </File>
    <File name="audit" fileName="{audit_log}">
      <PatternLayout pattern="%p %m%n"/>
    </File>
  </Appenders>
  <Loggers>
    <Root level="INFO"><AppenderRef ref="server"/></Root>
    <Logger name="kafka.authorizer.logger" level="{audit_level}" additivity="false">
      <AppenderRef ref="audit"/>
    </Logger>
  </Loggers>
</Configuration>
"""


VERSION = os.environ.get("KAFKA_VERSION", "4.3.1")
_VERSION = tuple(map(int, VERSION.split(".")[:2]))
# Authorizers have metrics from Kafka 4.1 on, groups of the new protocol are on from 4.0 on.
HAS_METRICS = _VERSION >= (4, 1)
HAS_NEW_GROUPS = _VERSION >= (4, 0)
# Kafka's own tools, which moved.
ACL_COMMAND = "org.apache.kafka.tools.AclCommand"
CONSOLE_PRODUCER = "org.apache.kafka.tools.ConsoleProducer"
CONSOLE_CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
JMX_TOOL = "org.apache.kafka.tools.JmxTool"
if _VERSION < (4, 0):
    ACL_COMMAND = "kafka.admin.AclCommand"
    CONSOLE_PRODUCER = "kafka.tools.ConsoleProducer"


def java(*flags, main, memory="256m", class_path=()):
    kafka = REPOSITORY / ".dev" / f"kafka-{VERSION}" / "*"
    flags = [f"-Xmx{memory}", "-XX:TieredStopAtLevel=1", *flags]
    return ["java", *flags, "-cp", ":".join(map(str, [kafka, DOORKEEPER, *class_path])), *main]


@dataclass
class Settings:
    """What differs between the nodes of the tests."""

    monitorable: bool = HAS_METRICS
    principal_builder: bool = True
    separate_controller: bool = False
    audit_log: Path | None = None  # instead of a file in the node's directory
    audit_level: str = "DEBUG"  # of kafka.authorizer.logger: a line for each that is allowed, too
    environment: dict = field(default_factory=dict)  # besides that of the tests
    java_flags: list = field(default_factory=list)  # these win over the usual ones
    class_path: list = field(default_factory=list)  # besides Kafka's and Doorkeeper's
    extra: dict = field(default_factory=dict)

    @property
    def authorizer(self):
        return f"io.doorkeeper.kafka.{'Monitorable' * self.monitorable}DoorkeeperAuthorizer"


class Node:
    """One process: a broker, a controller, or both."""

    def __init__(self, cluster, node_id, roles):
        self.cluster = cluster
        self.roles = roles
        self.directory = cluster.directory / f"node-{node_id}"
        self.directory.mkdir(parents=True)
        self.process = None
        self._node_id = node_id
        self._properties = self.directory / "server.properties"
        self._properties.write_text("".join(f"{k}={v}\n" for k, v in self._settings().items()))
        self._logging = self.directory / "log4j2.xml"
        self._audit_log = cluster.settings.audit_log or self.directory / "authorizer.log"
        self._logging.write_text(
            _LOGGING.format(
                directory=self.directory,
                audit_log=self._audit_log,
                audit_level=cluster.settings.audit_level,
            )
        )

    def _settings(self):
        cluster = self.cluster
        listeners = {}
        if "broker" in self.roles:
            listeners |= {"CLIENT": cluster.client_port, "INTERNAL": cluster.internal_port}
        if "controller" in self.roles:
            listeners["CONTROLLER"] = cluster.controller_port
        advertised = {k: v for k, v in listeners.items() if k != "CONTROLLER"}
        settings = {
            "process.roles": ",".join(self.roles),
            "node.id": self._node_id,
            "controller.quorum.voters": f"1@localhost:{cluster.controller_port}",
            "listeners": _addresses(listeners),
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CLIENT:SSL,INTERNAL:SSL,CONTROLLER:SSL",
            "log.dirs": self.directory / "data",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": cluster.pki.identity("broker").keystore,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": cluster.pki.truststore,
            "ssl.client.auth": "required",
            "ssl.principal.mapping.rules": MAPPING_RULES,
            "authorizer.class.name": cluster.settings.authorizer,
            "super.users": "User:broker;User:admin",
            "doorkeeper.opa.url": cluster.opa_url,
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.num.partitions": 1,
            "transaction.state.log.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
        }
        if cluster.settings.principal_builder:
            settings["principal.builder.class"] = PRINCIPAL_BUILDER
        if advertised:
            settings["advertised.listeners"] = _addresses(advertised)
            settings["inter.broker.listener.name"] = "INTERNAL"
        return settings | cluster.settings.extra

    def start(self):
        main = ["kafka.Kafka", self._properties]
        jmx = self._jmx() if "broker" in self.roles else []
        environment = os.environ | self.cluster.settings.environment
        log = self.directory / "stdout.log"
        self.process = Process(self._java(main, *jmx), log, environment)

    def format(self):
        identity = f"--cluster-id={self.cluster.id}"  # which may begin with a dash
        main = ["kafka.tools.StorageTool", "format", identity, "-c", self._properties]
        subprocess.run(
            [str(part) for part in self._java(main)], check=True, capture_output=True, timeout=60
        )

    def _java(self, main, *more_flags):
        logging = f"-Dlog4j2.configurationFile={self._logging}"
        settings = self.cluster.settings
        flags = [logging, *more_flags, *settings.java_flags]
        return java(*flags, main=main, memory="400m", class_path=settings.class_path)

    def _jmx(self):
        """Readable on loopback by whoever is on this machine: these nodes hold nothing of worth."""
        port = self.cluster.jmx_port
        return [
            "-Djava.rmi.server.hostname=127.0.0.1",
            "-Dcom.sun.management.jmxremote.host=127.0.0.1",
            f"-Dcom.sun.management.jmxremote.port={port}",
            f"-Dcom.sun.management.jmxremote.rmi.port={port}",
            "-Dcom.sun.management.jmxremote.authenticate=false",
            "-Dcom.sun.management.jmxremote.ssl=false",
        ]

    def stop(self):
        if self.process is not None:
            self.process.stop()

    def log_text(self):
        return _text(self.directory / "server.log")

    def log_bytes(self):
        return (self.directory / "server.log").stat().st_size

    def audit_lines(self):
        return _text(self._audit_log).splitlines()

    def wait_for_audit_line(self, *parts):
        """The first line of the authorizer's log that holds all of these."""
        return wait_until(
            f"an audit line with {parts}",
            lambda: next((x for x in self.audit_lines() if all(part in x for part in parts)), None),
        )


class Cluster:
    """One broker; its controller in the same process, or in one of its own."""

    def __init__(self, directory: Path, pki: Pki, opa_url, settings=None):
        self.directory = directory
        self.pki = pki
        self.opa_url = opa_url
        self.settings = settings or Settings()
        self.id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        ports = free_ports(4)
        self.client_port, self.internal_port, self.controller_port, self.jmx_port = ports
        if self.settings.separate_controller:
            self.controller = Node(self, 1, ["controller"])
            self.broker = Node(self, 2, ["broker"])
            self._nodes = [self.controller, self.broker]
        else:
            self.controller = self.broker = Node(self, 1, ["broker", "controller"])
            self._nodes = [self.broker]

    @property
    def bootstrap(self):
        return f"localhost:{self.client_port}"

    def start(self, wait=True):
        for node in self._nodes:
            node.format()
            node.start()
        if wait:
            self.wait_for_clients()

    def wait_for_clients(self):
        """Returns when the listener of the clients is open."""
        wait_until("the broker listens", self._is_open, START_SECONDS)

    def _is_open(self):
        for node in self._nodes:
            if not node.process.is_running:
                logs = f"{node.process.tail()}\n{node.log_text()[-4000:]}"
                raise AssertionError(f"a node ended:\n{logs}")
        return is_listening(self.client_port)

    def stop(self):
        for node in reversed(self._nodes):
            node.stop()

    def client_settings(self, identity: Identity | None, port=None):
        """Of librdkafka, so of confluent-kafka and kcat. Without an identity: no certificate."""
        settings = {
            "bootstrap.servers": f"localhost:{port or self.client_port}",
            "security.protocol": "ssl",
            "ssl.ca.location": str(self.pki.truststore),
        }
        if identity is not None:
            settings["ssl.certificate.location"] = str(identity.certificate)
            settings["ssl.key.location"] = str(identity.key)
        return settings

    def java_client_properties(self, identity: Identity) -> Path:
        """A file of the same for Kafka's own tools."""
        file = self.directory / f"{identity.name}.properties"
        file.write_text(
            "security.protocol=SSL\n"
            "ssl.keystore.type=PEM\n"
            f"ssl.keystore.location={identity.keystore}\n"
            "ssl.truststore.type=PEM\n"
            f"ssl.truststore.location={self.pki.truststore}\n"
        )
        return file

    def run_tool(self, main_class, *arguments, seconds=60, text=None):
        """One of Kafka's own tools; returns what it printed and its exit status."""
        command = java(main=[main_class, *arguments])
        done = subprocess.run(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            input=text,
            text=True,
            timeout=seconds,
        )
        return done.stdout, done.returncode


def _addresses(listeners):
    return ",".join(f"{name}://localhost:{port}" for name, port in listeners.items())


def _text(file: Path):
    return file.read_text(errors="replace") if file.exists() else ""
