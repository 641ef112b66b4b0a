# SPDX-License-Identifier: Apache-2.0
"""Walks through what Doorkeeper does, on a real broker with a real OPA. `./dev demo` starts it."""

import argparse
import os
import re
import shlex
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "e2e"))

import outage  # noqa: E402
import replay  # noqa: E402
from harness.clients import Client, tls_refusal  # noqa: E402
from harness.faults import FaultProxy  # noqa: E402
from harness.jmx import counters  # noqa: E402
from harness.kafka import HAS_METRICS, VERSION, Cluster, Settings  # noqa: E402
from harness.opa import Opa  # noqa: E402
from harness.pki import Pki  # noqa: E402
from harness.processes import wait_until  # noqa: E402

TOPIC = "orders"
VALUES = [b"one", b"two", b"three"]
DENIED = "TOPIC_AUTHORIZATION_FAILED"
GRANTS = {"topics": {TOPIC: {"read": ["alice", "bob"], "write": ["alice"]}}}
MORE_GRANTS = {"topics": {TOPIC: {"read": ["alice", "bob"], "write": ["alice", "bob"]}}}

COLOURED = sys.stdout.isatty() and "NO_COLOR" not in os.environ
AUDIT = re.compile(
    r"Principal = User:(?P<who>\S+) is (?P<verdict>\w+) operation = (?P<operation>\w+) .*?"
    r"on resource = (?P<resource>\S+) .*?source = (?P<source>\w+), revision = (?P<revision>\S+)"
)


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOURED else text


class Walk:
    """Says what is done, what came out, and counts what was not as expected."""

    def __init__(self, cluster):
        self._cluster = cluster
        self._read = 0
        self.surprises = 0

    def step(self, title):
        print(f"\n{paint('1', title)}")
        self._read = len(self._cluster.broker.audit_lines())

    def expect(self, what, actual, expected):
        good = actual == expected
        mark = paint("32", "as expected") if good else paint("31", f"expected {expected}")
        print(f"  {what}: {paint('1', show(actual))}  ({mark})")
        self.surprises += not good

    def why(self, who, *operations):
        """The broker's audit lines about `who` since the step began, each kind once."""
        wait_until(
            f"audit lines about {who}",
            lambda: {line["operation"] for line in self._lines(who, operations)} == {*operations},
        )
        shown = set()
        for found in self._lines(who, operations):
            line = "{verdict} {operation} on {resource}, by {source}".format_map(found)
            if line not in shown:
                shown.add(line)
                print(f"    {line}, revision {found['revision']}")

    def sources(self, who, *operations):
        return ", ".join({found["source"] for found in self._lines(who, operations)})

    def _lines(self, who, operations):
        lines = map(AUDIT.search, self._cluster.broker.audit_lines()[self._read :])
        return [
            line.groupdict()
            for line in lines
            if line and line["who"] == who and line["operation"] in operations
        ]


def show(value):
    return "no error" if value is None else str(value)


def walk(cluster, opa, pki):
    story = Walk(cluster)
    alice, bob, mallory, admin = (
        Client(cluster, pki.identity(name)) for name in ("alice", "bob", "mallory", "admin")
    )
    story.step(f"admin, a super user of the broker, creates the topic {TOPIC}")
    story.expect("creating it", admin.create_topic(TOPIC), None)
    story.why("admin", "CREATE")

    story.step(f"alice may write {TOPIC} and read it")
    story.expect("alice writes", alice.produce(TOPIC, *VALUES), None)
    story.expect("alice reads", alice.consume(TOPIC, 3, group="alice:demo"), (VALUES, None))
    story.why("alice", "WRITE", "READ")

    story.step(f"bob may only read {TOPIC}")
    story.expect("bob reads", bob.consume(TOPIC, 3, group="bob:demo")[1], None)
    story.expect("bob writes", bob.produce(TOPIC, b"from bob"), DENIED)
    story.why("bob", "WRITE", "READ")

    story.step("bob asks again: his denial comes from the cache, OPA is not asked")
    story.expect("bob writes", bob.produce(TOPIC, b"from bob"), DENIED)
    story.why("bob", "WRITE")
    story.expect("answered by", story.sources("bob", "WRITE"), "cache")

    story.step("mallory's certificate is valid, but nobody granted her anything")
    story.expect("topics that mallory sees", mallory.topics(), [])
    story.expect("mallory writes", mallory.produce(TOPIC, b"x"), DENIED)
    story.why("mallory", "DESCRIBE")

    story.step("a certificate of another authority is refused by TLS")
    refusal = tls_refusal(cluster, pki.foreign.issue("alice"))
    story.expect("CN=alice by a foreign authority gets in", refusal is None, False)
    print(f"    the broker's alert: {refusal}")

    story.step("a new bundle grants bob to write; his cached denial would live for a minute")
    began = time.monotonic()
    opa.publish("demo-2", MORE_GRANTS)
    wait_until("the broker notices", lambda: "demo-2" in cluster.broker.log_text())
    story.expect("bob writes", bob.produce(TOPIC, b"from bob"), None)
    story.why("bob", "WRITE")
    print(f"    {time.monotonic() - began:.1f} s after the bundle was published")

    if HAS_METRICS:
        story.step("the core's counters")
        print_counters(counters(cluster))
    return story.surprises


def print_counters(values):
    known = ["calls", "allowed", "denied", "rules", "hits", "misses", "questions", "opa-requests"]
    for name in known:
        print(f"  {name:<14}{values[name]:>8}")
    decisions = values["rules"] + values["hits"] + values["misses"]
    spent = values["opa-time-us"]
    print(f"  waiting for OPA: {spent / values['opa-requests']:.0f} us a request, "
          f"{spent / decisions:.0f} us a decision")  # fmt: skip


def keep(cluster, pki):
    settings = cluster.client_settings(pki.identity("alice"))
    bootstrap = settings.pop("bootstrap.servers")
    options = " ".join(f"-X {shlex.quote(f'{k}={v}')}" for k, v in settings.items())
    with suppress(KeyboardInterrupt):
        print(f"\nThe broker is still there; as alice:\n\n  kcat -b {bootstrap} {options} -L\n")
        print("Ctrl-C ends it.")
        signal.pause()


def tell(cluster, opa, pki):
    print(f"Kafka {VERSION} at {cluster.bootstrap}: mutual TLS, guarded by Doorkeeper")
    return walk(cluster, opa, pki)


def tell_of_outages(cluster, opa, proxy, pki):
    print(f"Kafka {VERSION} at {cluster.bootstrap}, its OPA behind a proxy that can fail")
    story = Walk(cluster)
    outage.Outage(story, cluster, opa, proxy, pki).walk()
    return story.surprises


def tell_of_a_replay(cluster, directory, pki):
    print(f"Kafka {VERSION} at {cluster.bootstrap}, which records its decisions")
    story = Walk(cluster)
    replay.Replay(story, cluster, directory, pki).walk()
    return story.surprises


def run(arguments):
    with ExitStack() as ending:
        directory = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="doorkeeper-")))
        print("root and intermediate authority, certificates for the broker and its clients")
        pki = Pki(directory / "pki")
        opa = Opa(directory / "opa")
        ending.callback(opa.close)
        opa.start()
        grants = {"outage": outage.GRANTS, "replay": replay.GRANTS}.get(arguments.story, GRANTS)
        opa.publish("demo-1", grants)
        print(f"OPA at {opa.url}, policy revision demo-1")
        proxy = FaultProxy(opa)
        ending.callback(proxy.stop)
        url = proxy.url if arguments.story == "outage" else opa.url
        extra = {"outage": outage.SETTINGS, "replay": replay.settings(directory)}
        settings = Settings(extra=extra.get(arguments.story, {}))
        cluster = Cluster(directory / "kafka", pki, url, settings)
        ending.callback(cluster.stop)
        cluster.start()
        if arguments.story == "outage":
            surprises = tell_of_outages(cluster, opa, proxy, pki)
        elif arguments.story == "replay":
            surprises = tell_of_a_replay(cluster, directory, pki)
        else:
            surprises = tell(cluster, opa, pki)
        if arguments.keep:
            keep(cluster, pki)
    print("\neverything was as expected" if surprises == 0 else f"\n{surprises} surprises")
    return 0 if surprises == 0 else 1


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave broker and OPA running")
    story = parser.add_mutually_exclusive_group()
    for name, text in (
        ("outage", "kill, hang and corrupt OPA under clients that work"),
        ("replay", "record decisions, and see what another policy would have decided"),
    ):
        story.add_argument(f"--{name}", action="store_const", const=name, dest="story", help=text)
    arguments = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # piped, too, one sees where it is
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    try:
        return run(arguments)
    except KeyboardInterrupt:
        print("\nended")
        return 130


if __name__ == "__main__":
    sys.exit(main())
