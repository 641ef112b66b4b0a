# SPDX-License-Identifier: Apache-2.0
"""Ordinary clients at a broker that Doorkeeper guards."""

import subprocess

import pytest
from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation

from harness.clients import SECONDS, tls_refusal
from harness.kafka import HAS_METRICS

TOPIC_DENIED = "TOPIC_AUTHORIZATION_FAILED"
GROUP_DENIED = "GROUP_AUTHORIZATION_FAILED"


@pytest.mark.smoke
def test_who_may_write_and_read(client):
    assert client("alice").produce("orders", b"one", b"two") is None
    assert client("alice").consume("orders", 2) == ([b"one", b"two"], None)
    assert client("bob").consume("orders", 2) == ([b"one", b"two"], None)
    assert client("bob").produce("orders", b"no") == TOPIC_DENIED
    assert client("mallory").produce("orders", b"no") == TOPIC_DENIED
    assert client("mallory").consume("orders", 1)[1] in {TOPIC_DENIED, GROUP_DENIED}


@pytest.mark.smoke
def test_topics_that_are_not_granted_are_not_shown(client):
    assert client("alice").topics() == ["closed", "orders"]
    assert client("bob").topics() == ["orders"]
    assert client("mallory").topics() == []


def test_groups_of_others_are_closed(client):
    assert client("bob").consume("orders", 1, group="alice:mine")[1] == GROUP_DENIED


@pytest.mark.skipif(not HAS_METRICS, reason="KIP-848 groups are on by default from 4.0")
def test_groups_of_the_new_protocol(client):
    assert client("alice").produce("closed", b"848") is None
    new = {"group.protocol": "consumer"}
    assert client("alice").consume("closed", 1, group="alice:new", **new) == ([b"848"], None)
    assert client("bob").consume("closed", 1, group="bob:new", **new)[1] == TOPIC_DENIED


@pytest.mark.smoke
def test_idempotent_and_transactional_producers(client):
    alice = client("alice")
    assert alice.produce("closed", b"once", **{"enable.idempotence": True}) is None
    producer = alice.producer(**{"transactional.id": "alice:t"})
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    producer.produce("closed", b"committed")
    producer.commit_transaction(SECONDS)


def test_transactional_ids_of_others_are_closed(client):
    producer = client("mallory").producer(**{"transactional.id": "alice:t"})
    with pytest.raises(KafkaException) as refused:
        producer.init_transactions(SECONDS)
    assert refused.value.args[0].name() == "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"


def test_authorized_operations(client):
    alice = client("alice").admin()
    topics = TopicCollection(["orders"])
    described = alice.describe_topics(topics, include_authorized_operations=True)["orders"]
    operations = set(described.result(SECONDS).authorized_operations)
    assert operations == {AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE}


def test_java_clients(cluster, pki):
    alice = cluster.java_client_properties(pki.identity("alice"))
    common = ["--bootstrap-server", cluster.bootstrap, "--topic", "closed"]
    output, status = cluster.run_tool(
        "org.apache.kafka.tools.ConsoleProducer", *common,
        *("--producer.config", alice), text="from java\n",
    )  # fmt: skip
    assert (status, "ERROR" in output) == (0, False), output
    output, _ = cluster.run_tool(
        "org.apache.kafka.tools.consumer.ConsoleConsumer", *common,
        *("--consumer.config", alice, "--group", "alice:java", "--from-beginning"),
        *("--timeout-ms", "8000"),
    )  # fmt: skip
    assert "from java" in output.splitlines(), output


def test_listing_acls_says_that_there_are_none(cluster, pki):
    output, status = cluster.run_tool(
        "org.apache.kafka.tools.AclCommand" if HAS_METRICS else "kafka.admin.AclCommand",
        *("--bootstrap-server", cluster.bootstrap, "--list"),
        *("--command-config", cluster.java_client_properties(pki.identity("admin"))),
    )
    assert "SecurityDisabledException: There are no ACLs" in output, output


def test_kcat(cluster, pki):
    settings = cluster.client_settings(pki.identity("bob"))
    bootstrap = settings.pop("bootstrap.servers")
    options = [part for k, v in settings.items() for part in ("-X", f"{k}={v}")]
    listing = subprocess.run(
        ["kcat", "-b", bootstrap, *options, "-L"], capture_output=True, text=True, timeout=60
    )
    assert 'topic "orders"' in listing.stdout and "secrets" not in listing.stdout, listing


@pytest.mark.smoke
def test_certificates_of_strangers_are_refused_by_tls(cluster, pki):
    assert tls_refusal(cluster, pki.identity("alice")) is None
    assert tls_refusal(cluster, pki.foreign.issue("alice")) is not None
    assert tls_refusal(cluster, None) is not None


@pytest.mark.smoke
def test_decisions_are_written_to_kafkas_authorizer_log(cluster, client):
    client("eve").produce("secrets", b"x")
    line = cluster.broker.wait_for_audit_line("User:eve", "TOPIC:LITERAL:secrets")
    assert line.startswith("INFO Principal = User:eve is Denied operation = DESCRIBE from host")
    assert "outcome = DENY, source = opa, revision = authz=" in line
