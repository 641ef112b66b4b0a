# SPDX-License-Identifier: Apache-2.0
"""What is hard for an authorizer: all topics at once, and everybody at once."""

import time

from confluent_kafka import TopicPartition
from harness.processes import wait_until

METADATA_SECONDS = 120
ARRIVAL_SECONDS = 120
WARM_TIMES = 5


class Reader:
    """A connected client that lists all topics, of none of which anything was asked for it yet."""

    def __init__(self, column, identity, topics):
        self._topics = topics
        self._admin = column.client(identity).admin()
        # Connects, and learns of the broker; asks for one name that there is not.
        self._admin.list_topics(f"not-a-topic-of-{identity}", timeout=METADATA_SECONDS)

    def list_ms(self):
        began = time.monotonic()
        shown = self._admin.list_topics(timeout=METADATA_SECONDS).topics
        took = time.monotonic() - began
        missing = self._topics - len([name for name in shown if name.startswith("topic-")])
        assert missing == 0, f"{missing} topics were not shown"
        return 1000 * took


def metadata(column, identity, topics):
    """Milliseconds of the first list, and of those that follow."""
    reader = Reader(column, identity, topics)
    cold = reader.list_ms()
    return {"cold_ms": cold, "warm_ms": min(reader.list_ms() for _ in range(WARM_TIMES))}


def arrive(column, topic, identities, count):
    """So many consumers connect at once; seconds until each has its first message."""
    began = time.monotonic()
    waiting = {}
    for number in range(count):
        name = identities[number % len(identities)]
        consumer = column.client(name).consumer(f"{name}:arrival")
        consumer.assign([TopicPartition(topic, 0, 0)])
        waiting[number] = consumer
    arrived = {}

    def all_have_read():
        for number in [number for number in waiting if number not in arrived]:
            message = waiting[number].poll(0)
            if message is not None:
                assert message.error() is None, message.error()
                arrived[number] = time.monotonic() - began
        return len(arrived) == count

    wait_until(f"{count} consumers read", all_have_read, ARRIVAL_SECONDS, every=0.001)
    for consumer in waiting.values():
        consumer.close()
    seconds = sorted(arrived.values())
    return {"half_s": seconds[len(seconds) // 2], "all_s": seconds[-1]}
