# SPDX-License-Identifier: Apache-2.0
"""What clients see while OPA is killed, hangs, lies, and comes back: `./dev demo --outage`."""

import time

from harness.clients import Client
from harness.jmx import counters
from harness.load import Consumer, Producer, is_let_in, seconds_of
from harness.processes import wait_until

FAULT_SECONDS = 5
TOPIC, LATE_TOPICS = "orders", ["late-1", "late-2", "late-3"]
GRANTS = {
    "topics": {TOPIC: {"read": ["alice"], "write": ["alice"]}}
    | {topic: {"write": ["carol"]} for topic in LATE_TOPICS}
}
MORE_GRANTS = {"topics": GRANTS["topics"] | {"closed": {"write": ["bob"]}}}
# Decisions are forgotten within a second, so that the clients depend on what an outage leaves them.
SETTINGS = {"doorkeeper.cache.ttl.allow.ms": 1000, "doorkeeper.cache.ttl.deny.ms": 1000}


class Outage:
    """One cluster, an OPA behind a proxy, and clients that work all the time."""

    def __init__(self, story, cluster, opa, proxy, pki):
        self._story = story
        self._cluster = cluster
        self._opa = opa
        self._proxy = proxy
        self._client = lambda name: Client(cluster, pki.identity(name))

    def walk(self):
        topics = [TOPIC, *LATE_TOPICS, "closed"]
        self._story.expect("admin creates topics", self._client("admin").create_topics(topics), None)
        self._story.step("alice writes and reads, 50 messages a second, through all that follows")
        alice = self._client("alice")
        producer, consumer = Producer(alice, TOPIC), Consumer(alice, TOPIC, "alice:demo")
        try:
            consumer.wait_for(1)
            self._during("OPA is killed", LATE_TOPICS[0], self._opa.process.kill, self._opa.start)
            self._during(
                "OPA hangs", LATE_TOPICS[1], lambda: self._proxy.break_with("hang"), self._proxy.mend
            )
            self._during(
                "OPA's answers are cut off",
                LATE_TOPICS[2],
                lambda: self._proxy.break_with("truncated"),
                self._proxy.mend,
            )
            self._policy_change()
        finally:
            sent = producer.stop()
            consumer.stop()
        self._story.step("what alice saw of all this")
        self._story.expect("errors of her producer", producer.errors, [])
        self._story.expect("messages lost", sent - len(producer.acked), 0)
        self._story.expect("errors of her consumer", consumer.errors, [])
        print(f"    {sent} messages written, {len(consumer.values)} read")

    def _during(self, title, topic, break_it, mend):
        self._story.step(f"{title} for {FAULT_SECONDS} s")
        before = counters(self._cluster)
        end = time.monotonic() + FAULT_SECONDS
        break_it()
        carol = Producer(self._client("carol"), topic)
        let_in = False
        while time.monotonic() < end:
            let_in |= is_let_in(self._client("mallory"), "closed")
        self._story.expect("mallory, who has no grant, got in", let_in, False)
        mend()
        seconds = seconds_of(lambda: wait_until("carol works", lambda: carol.acked))
        carol.stop()
        self._story.expect("errors of carol, who began meanwhile", carol.errors, [])
        after = counters(self._cluster)
        print(f"    OPA is back: carol's first message was written {seconds:.1f} s later")
        print(f"    allowed as last known: {after['stale'] - before['stale']} actions,"
              f" without a decision: {after['unavailable'] - before['unavailable']}")  # fmt: skip

    def _policy_change(self):
        self._story.step("the policy changes: bob is granted the topic closed")
        bob = self._client("bob")
        self._story.expect("bob writes before", is_let_in(bob, "closed"), False)
        self._opa.publish("demo-2", MORE_GRANTS)
        seconds = seconds_of(lambda: wait_until("bob may write", lambda: is_let_in(bob, "closed")))
        print(f"    {seconds:.1f} s after the bundle was active bob had written")
