# SPDX-License-Identifier: Apache-2.0
"""Idempotent and transactional producers: transactional ids and groups belong to their owners."""

import pytest
from confluent_kafka import KafkaException, TopicPartition

from harness.clients import SECONDS
from harness.processes import wait_until


def error_of(call, *arguments):
    with pytest.raises(KafkaException) as refused:
        call(*arguments)
    return refused.value.args[0].name()


def transactional_producer(client, transactional_id):
    producer = client.producer(**{"transactional.id": transactional_id})
    producer.init_transactions(SECONDS)
    return producer


def test_idempotent_and_transactional_producers(client):
    alice = client("alice")
    assert alice.produce("closed", b"once", **{"enable.idempotence": True}) is None
    producer = transactional_producer(alice, "alice:t")
    producer.begin_transaction()
    producer.produce("closed", b"committed")
    producer.commit_transaction(SECONDS)


def test_transactional_ids_of_others_are_closed(client):
    error = error_of(transactional_producer, client("mallory"), "alice:t")
    assert error == "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"


@pytest.fixture
def read_by_alice(client):
    """A consumer that has read something of "orders" in alice's group."""
    alice = client("alice")
    assert alice.produce("orders", b"to be copied") is None
    consumer = alice.consumer("alice:copier")
    consumer.subscribe(["orders"])
    wait_until("alice has read", lambda: read_one(consumer), SECONDS, every=0)
    yield consumer
    consumer.close()


def read_one(consumer):
    message = consumer.poll(0.5)
    return message is not None and message.error() is None


def test_offsets_are_sent_to_a_transaction(client, read_by_alice):
    """Consume, transform, produce: what was written and how far was read are committed as one."""
    alice = client("alice")
    producer = transactional_producer(alice, "alice:copier")
    producer.begin_transaction()
    producer.produce("copies", b"copied")
    read = read_by_alice.position(read_by_alice.assignment())
    producer.send_offsets_to_transaction(read, read_by_alice.consumer_group_metadata(), SECONDS)
    producer.commit_transaction(SECONDS)
    committed = read_by_alice.committed([TopicPartition("orders", 0)], SECONDS)
    assert [one.offset for one in committed] == [one.offset for one in read] != []
    only_committed = {"isolation.level": "read_committed"}
    assert alice.consume("copies", 1, **only_committed) == ([b"copied"], None)


def test_offsets_are_not_sent_for_a_group_of_others(client, read_by_alice):
    ivan = client("ivan")
    producer = transactional_producer(ivan, "ivan:thief")
    producer.begin_transaction()
    error = error_of(
        producer.send_offsets_to_transaction,
        [TopicPartition("orders", 0, 1)], read_by_alice.consumer_group_metadata(), SECONDS,
    )  # fmt: skip
    assert error == "GROUP_AUTHORIZATION_FAILED"
