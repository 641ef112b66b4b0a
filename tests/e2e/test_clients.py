# SPDX-License-Identifier: Apache-2.0
"""Ordinary clients at a broker that Doorkeeper guards."""

import subprocess

import pytest
from confluent_kafka import TopicCollection
from confluent_kafka.admin import AclOperation

from conftest import LONGEST_NAME
from harness.clients import SECONDS, tls_refusal
from harness.kafka import ACL_COMMAND, CONSOLE_CONSUMER, CONSOLE_PRODUCER, HAS_NEW_GROUPS

TOPIC_DENIED = "TOPIC_AUTHORIZATION_FAILED"
GROUP_DENIED = "GROUP_AUTHORIZATION_FAILED"
# A string of Kafka's protocol is not longer.
GROUP_ID_MAX = 32 * 1024 - 1


def test_who_may_write_and_read(client):
    assert client("alice").produce("orders", b"one", b"two") is None
    assert client("alice").consume("orders", 2) == ([b"one", b"two"], None)
    assert client("bob").consume("orders", 2) == ([b"one", b"two"], None)
    assert client("bob").produce("orders", b"no") == TOPIC_DENIED
    assert client("mallory").produce("orders", b"no") == TOPIC_DENIED
    assert client("mallory").consume("orders", 1)[1] in {TOPIC_DENIED, GROUP_DENIED}


def test_topics_that_are_not_granted_are_not_shown(client):
    assert client("alice").topics() == ["closed", "copies", "orders"]
    assert client("bob").topics() == ["orders"]
    assert client("mallory").topics() == []


def test_groups_of_others_are_closed(client):
    assert client("bob").consume("orders", 1, group="alice:mine")[1] == GROUP_DENIED


@pytest.mark.skipif(not HAS_NEW_GROUPS, reason="KIP-848 groups are on by default from 4.0")
def test_groups_of_the_new_protocol(client):
    assert client("alice").produce("closed", b"848") is None
    new = {"group.protocol": "consumer"}
    assert client("alice").consume("closed", 1, group="alice:new", **new) == ([b"848"], None)
    assert client("bob").consume("closed", 1, group="bob:new", **new)[1] == TOPIC_DENIED


def test_the_longest_names(cluster, client):
    assert client("nora").produce(LONGEST_NAME, b"x") is None
    assert client("mallory").produce(LONGEST_NAME, b"x") == TOPIC_DENIED
    group = "alice:".ljust(GROUP_ID_MAX, "g")
    assert client("bob").consume("orders", 1, group=group)[1] == GROUP_DENIED
    line = cluster.broker.wait_for_audit_line("User:bob", "GROUP:LITERAL:alice:gggg")
    assert len(line) < 2000 and "outcome = DENY, source = opa" in line, "cut, not spoilt"
    assert client("bob").topics() == ["orders"]


def test_authorized_operations(client):
    alice = client("alice").admin()
    topics = TopicCollection(["orders"])
    described = alice.describe_topics(topics, include_authorized_operations=True)["orders"]
    operations = set(described.result(SECONDS).authorized_operations)
    assert operations == {AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE}


def test_java_clients(cluster, pki):
    julia = cluster.java_client_properties(pki.identity("julia"))
    common = ["--bootstrap-server", cluster.bootstrap, "--topic", "tools"]
    output, status = cluster.run_tool(
        CONSOLE_PRODUCER, *common, "--producer.config", julia, text="from java\n"
    )
    assert (status, "ERROR" in output) == (0, False), output
    output, status = cluster.run_tool(
        CONSOLE_CONSUMER, *common,
        *("--consumer.config", julia, "--group", "julia:console", "--from-beginning"),
        *("--max-messages", "1", "--timeout-ms", "30000"),
    )  # fmt: skip
    assert status == 0 and "from java" in output.splitlines(), output


@pytest.mark.parametrize("action", [
    ["--list"],
    ["--add", "--allow-principal", "User:eve", "--operation", "Read", "--topic", "orders"],
    ["--remove", "--force", "--topic", "orders"],
])  # fmt: skip
def test_kafka_acls_says_that_there_are_none(action, cluster, pki):
    """Listing is answered by the broker, the others by the controller."""
    output, _ = cluster.run_tool(
        ACL_COMMAND, *action,
        *("--bootstrap-server", cluster.bootstrap),
        *("--command-config", cluster.java_client_properties(pki.identity("admin"))),
    )  # fmt: skip
    assert "SecurityDisabledException: There are no ACLs" in output, output


def kcat(cluster, identity, *arguments, text=None):
    settings = cluster.client_settings(identity)
    bootstrap = settings.pop("bootstrap.servers")
    options = [part for k, v in settings.items() for part in ("-X", f"{k}={v}")]
    command = ["kcat", "-b", bootstrap, *options, *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)


def test_kcat(cluster, pki):
    julia, bob = pki.identity("julia"), pki.identity("bob")
    listing = kcat(cluster, bob, "-L")
    assert 'topic "orders"' in listing.stdout and "secrets" not in listing.stdout, listing
    written = kcat(cluster, julia, "-P", "-t", "tools", text="by kcat\n")
    assert written.returncode == 0, written
    read = kcat(cluster, julia, "-C", "-t", "tools", "-o", "beginning", "-e")
    assert read.returncode == 0 and "by kcat" in read.stdout.splitlines(), read
    refused = kcat(cluster, bob, "-P", "-t", "orders", text="by bob\n")
    assert refused.returncode != 0 and "Topic authorization failed" in refused.stderr, refused


def test_certificates_of_strangers_are_refused_by_tls(cluster, pki):
    assert tls_refusal(cluster, pki.identity("alice")) is None
    assert tls_refusal(cluster, pki.foreign.issue("alice")) is not None
    assert tls_refusal(cluster, None) is not None


def test_decisions_are_written_to_kafkas_authorizer_log(cluster, client):
    client("eve").produce("secrets", b"x")
    line = cluster.broker.wait_for_audit_line("User:eve", "TOPIC:LITERAL:secrets")
    assert line.startswith("INFO Principal = User:eve is Denied operation = DESCRIBE from host")
    assert "outcome = DENY, source = opa, revision = authz=" in line
