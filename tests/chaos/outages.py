# SPDX-License-Identifier: Apache-2.0
"""What families of clients see while OPA fails, whoever asks it."""

import re
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from families import Record
from harness.clients import Client
from harness.load import is_let_in
from harness.processes import Timeout, wait_until

WORKS, BEGINS, STRANGER = "alice", "carol", "mallory"
BEGIN_SECONDS = 60  # that a process takes to start
CLOSED = "closed"  # nobody has a grant for it


def topics_of(user, occasion, family):
    """Where a family writes, and where the copies of that go."""
    topic = re.sub(r"\W", "-", f"{user}-{occasion}-{family.name}")
    return topic, f"{topic}-copies"


class Watched:
    """A client, from a moment on."""

    def __init__(self, family, client, record: Record):
        self.name = f"{family.name}, {client}"
        self.recovery = None  # seconds from the end of the fault until it got on
        self._record = record
        self._errors_before = len(record.errors)

    @property
    def errors(self):
        return self._record.errors[self._errors_before :]

    def mark(self):
        self._done_before, self._since = len(self._record.done), time.monotonic()

    def has_got_on(self):
        if self.recovery is None and len(self._record.done) > self._done_before:
            self.recovery = time.monotonic() - self._since
        return self.recovery is not None


class Calls:
    """Of the broker's authorizer: how long those took that took some time."""

    def __init__(self, file):
        self._file = file

    def settings(self, authorizer):
        """Of a broker whose class path has JAVA_CLASSES."""
        return {
            "authorizer.class.name": "TimedAuthorizer",
            "timed.authorizer": authorizer,
            "timed.file": self._file,
        }

    def count(self):
        return len(self._milliseconds())

    def longest_ms(self, first):
        """Of the calls after the first so many."""
        return max(self._milliseconds()[first:], default=0)

    def _milliseconds(self):
        return [int(line) for line in self._file.read_text().splitlines()]


def watch(families):
    return [
        Watched(family, client, record)
        for family in families
        for client, record in family.clients.items()
    ]


@dataclass
class Observation:
    """Of one fault."""

    fault: str
    workers: list[Watched]  # who worked when it began
    late: list[Watched]  # who began during it
    let_in: bool  # somebody without a grant
    longest_refusal: float
    longest_call_ms: int
    seconds: float  # that all this took
    cpu_seconds: float  # of the broker
    log_bytes: int

    def row(self):
        came_up = [one.recovery for one in self.late if one.recovery is not None]
        return {
            "fault": self.fault,
            "saw errors": _count(self.workers, lambda one: one.errors),
            "stopped": _count(self.workers, lambda one: one.recovery is None),
            "began and came up": _count(self.late, lambda one: one.recovery is not None),
            "recovery, s": f"{max(came_up):.1f}" if came_up else "–",
            "longest refusal, s": f"{self.longest_refusal:.1f}",
            "longest authorize(), ms": self.longest_call_ms,
            "broker CPU, %": round(100 * self.cpu_seconds / self.seconds),
            "broker log, KB": self.log_bytes // 1000,
        }


def _count(clients, condition):
    return f"{sum(bool(condition(one)) for one in clients)} of {len(clients)}"


def rows_by_client(observations):
    """The same by client, over all faults."""
    by_name = {}
    for seen in observations:
        for one in seen.workers:
            by_name.setdefault(one.name, ([], []))[0].append(one)
        for one in seen.late:
            by_name.setdefault(one.name, ([], []))[1].append(one)
    for name, (workers, late) in by_name.items():
        came_up = [one.recovery for one in late if one.recovery is not None]
        yield {
            "client": name,
            "worked: saw errors in": _count(workers, lambda one: one.errors),
            "stopped in": _count(workers, lambda one: one.recovery is None),
            "began: saw errors in": _count(late, lambda one: one.errors),
            "came up in": _count(late, lambda one: one.recovery is not None),
            "after s at most": f"{max(came_up):.1f}" if came_up else "–",
        }


class Outages:
    """A broker whose OPA is behind a proxy, and clients of it."""

    def __init__(self, cluster, calls, proxy, pki, directory, patience_seconds):
        self._cluster = cluster
        self._calls = calls
        self._proxy = proxy
        self._pki = pki
        self._directory = directory
        self._patience_seconds = patience_seconds
        self._workers = ExitStack()
        self._create_topics([CLOSED])

    def stop(self):
        self._workers.close()

    def _client(self, user):
        return Client(self._cluster, self._pki.identity(user))

    def _create_topics(self, names):
        assert self._client("admin").create_topics(names) is None

    def _start(self, running, user, occasion, kinds):
        """Families that end with `running`."""
        families = []
        for kind in kinds:
            topics = topics_of(user, occasion, kind)
            identity = self._pki.identity(user)
            families.append(kind(self._cluster, identity, *topics, self._directory))
            running.callback(families[-1].stop)
        return families

    def _prepare(self, user, occasion, kinds):
        """Topics that nobody has asked for before."""
        self._create_topics([topic for kind in kinds for topic in topics_of(user, occasion, kind)])

    def start_workers(self, occasion, kinds):
        """Returns families of which each client has done something."""
        self._prepare(WORKS, occasion, kinds)
        families = []
        for kind in kinds:  # one after the other: a JVM that starts takes the machine from the rest
            families += self._start(self._workers, WORKS, occasion, [kind])
            for client, record in families[-1].clients.items():
                what = f"{kind.name}, {client} works"
                wait_until(what, lambda record=record: record.done, self._patience_seconds)
        return families

    def observe(self, fault, seconds, families, late_kinds) -> Observation:
        """Breaks OPA for a while under families that work, and families that begin."""
        self._prepare(BEGINS, fault, late_kinds)
        broker = self._cluster.broker
        log_bytes, cpu_seconds = broker.log_bytes(), broker.process.cpu_seconds
        calls = self._calls.count()
        workers = watch(families)
        began = time.monotonic()
        with ExitStack() as running:
            self._proxy.break_with(fault)
            late_families = self._start(running, BEGINS, fault, late_kinds)
            late = watch(late_families)
            for family in late_families:
                what = f"{family.name} begins"
                wait_until(what, lambda family=family: family.has_begun, BEGIN_SECONDS)
            let_in, longest_refusal = self._knock_until(time.monotonic() + seconds)
            self._proxy.mend()
            self._wait_for([*workers, *late])
            return Observation(
                fault=fault,
                workers=workers,
                late=late,
                let_in=let_in,
                longest_refusal=longest_refusal,
                longest_call_ms=self._calls.longest_ms(calls),
                seconds=time.monotonic() - began,
                cpu_seconds=broker.process.cpu_seconds - cpu_seconds,
                log_bytes=broker.log_bytes() - log_bytes,
            )

    def _wait_for(self, clients):
        """Until they got on, if they do."""
        for one in clients:
            one.mark()

        def all_got_on():
            return False not in [one.has_got_on() for one in clients]  # asks every one of them

        with suppress(Timeout):
            wait_until("all clients got on", all_got_on, self._patience_seconds)

    def _knock_until(self, end):
        """Whether somebody without a grant was let in, and the longest that they had to wait."""
        let_in, longest = False, 0
        while time.monotonic() < end:
            began = time.monotonic()
            let_in |= is_let_in(self._client(STRANGER), CLOSED)
            longest = max(longest, time.monotonic() - began)
        return let_in, longest
