# SPDX-License-Identifier: Apache-2.0
"""What an authorizer costs on a real broker: docs/internals/bench.md. `./dev bench broker`."""

import argparse
import json
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "e2e"))

import columns  # noqa: E402
import hard  # noqa: E402
import load  # noqa: E402
from cpu_profile import Profile  # noqa: E402
from harness import REPOSITORY  # noqa: E402
from harness.faults import FaultProxy  # noqa: E402
from harness.kafka import VERSION  # noqa: E402
from harness.pki import Pki  # noqa: E402
from harness.processes import free_ports  # noqa: E402

READERS = 12
PRINCIPALS = 10
OPA_DELAY_SECONDS = 0.005
ROUND_TOPICS = 40
PROFILE_ROUNDS = 4  # as long as so many rounds, for the sake of enough samples


@dataclass
class Plan:
    rounds: int
    rate: int  # records a second
    seconds: int
    full_records: int
    topics: int
    consumers: int


FULL = Plan(rounds=3, rate=2000, seconds=8, full_records=300_000, topics=5000, consumers=100)
SHORT = Plan(rounds=1, rate=500, seconds=2, full_records=5_000, topics=100, consumers=10)


def topic(number):
    return f"topic-{number:04}"


def grants(plan):
    """Readers list topics and consumers read the first; `bench` makes the load."""
    readers = [f"reader-{n}" for n in range(READERS)] + [f"app-{n}" for n in range(PRINCIPALS)]
    both = {"read": [load.IDENTITY, *readers], "write": [load.IDENTITY]}
    names = [topic(n) for n in range(plan.topics)]
    names += [f"{kind}-{n}" for kind in ("fixed", "full", "profile") for n in range(ROUND_TOPICS)]
    cluster = {"kafka-cluster": {"idempotent_write": [load.IDENTITY]}}
    return {"topics": {name: both for name in names}, "cluster": cluster}


class Bench:
    def __init__(self, plan, directory, stack):
        self._plan = plan
        self._directory = directory
        self._pki = Pki(directory / "pki")
        self._readers = iter(f"reader-{n}" for n in range(READERS))
        self._opa = columns.PluginOpa(directory / "opa")
        stack.callback(self._opa.close)
        self._opa.start()
        self._opa.publish("bench", grants(plan))
        self._columns = columns.make(directory, self._pki, self._opa)
        for column in self._columns:
            say(f"starting the broker of {column.name}, with {plan.topics} topics")
            stack.callback(column.cluster.stop)
            self._start(column)

    def _start(self, column):
        column.start()
        if column.name == "standard":
            column.allow_all()
        column.create_topics([topic(n) for n in range(self._plan.topics)])
        error = column.client("admin").produce(topic(0), b"x")
        assert error is None, f"{column.name}: {error}"

    def run(self):
        plan = self._plan
        fixed_records = plan.rate * plan.seconds
        self._turns("warm-up", 1, lambda c, _: load.run(c, load.Round("fixed-0", fixed_records)))
        return {
            "fixed": self._turns(
                f"{plan.rate} records a second", plan.rounds,
                lambda c, n: load.run(c, load.Round(f"fixed-{n + 1}", fixed_records, plan.rate)),
            ),
            "full": self._turns(
                "full rate", plan.rounds,
                lambda c, n: load.run(c, load.Round(f"full-{n}", plan.full_records)),
            ),
            "profile": self._turns("profile", 1, self._profile),
            "metadata": self._metadata(plan.rounds),
            "arrival": self._turns("consumers arrive", plan.rounds + 1, self._arrive),
            "metadata_slow_opa": self._slowly(),
        }  # fmt: skip

    def _turns(self, what, rounds, measure):
        """{column: [result of each round]}: A B C D, A B C D, ..."""
        results = {column.name: [] for column in self._columns}
        for number in range(rounds):
            for column in self._columns:
                say(f"{what}, round {number + 1}: {column.name}")
                results[column.name].append(measure(column, number))
        return results

    def _profile(self, column, _):
        plan = self._plan
        one = load.Round("profile-0", PROFILE_ROUNDS * plan.rate * plan.seconds, plan.rate)
        column.create_topics([one.topic])
        with Profile(column, self._directory / f"{column.name}.collapsed") as profile:
            load.drive(column, one)
        return profile.percent

    def _metadata(self, rounds):
        names = [next(self._readers) for _ in range(rounds)]
        return self._turns(
            "metadata", rounds, lambda c, n: hard.metadata(c, names[n], self._plan.topics)
        )

    def _arrive(self, column, _):
        identities = [f"app-{n}" for n in range(PRINCIPALS)]
        return hard.arrive(column, topic(0), identities, self._plan.consumers)

    def _slowly(self):
        """OPA gets another port, and its old one a proxy that waits."""
        self._opa.stop()
        port, self._opa.port = self._opa.port, free_ports(1)[0]
        self._opa.start()
        self._opa.publish("bench", grants(self._plan))
        proxy = FaultProxy(self._opa, port)
        proxy.delay_seconds = OPA_DELAY_SECONDS
        try:
            return self._metadata(1)
        finally:
            proxy.stop()


def spread(values):
    return {"min": min(values), "median": statistics.median(values)}


FIGURES = [
    # title, part of the results, what of one round's
    ("at a fixed rate", "fixed", [
        ("producer, mean ms", lambda r: r["producer"]["mean_ms"]),
        ("producer, p99 ms", lambda r: r["producer"]["p99_ms"]),
        ("produce request on the broker, mean ms", lambda r: r["broker_ms"]["Produce total"]),
        ("of it until written (has authorize), mean ms", lambda r: r["broker_ms"]["Produce local"]),
        ("broker CPU, us a record", lambda r: r["broker_cpu_us_a_record"]),
        ("broker CPU, cores", lambda r: r["broker_cores"]),
    ]),
    ("at full rate", "full", [
        ("produced, records a second", lambda r: r["producer"]["rate"]),
        ("consumed, records a second", lambda r: r["consumer"]["rate"]),
        ("broker CPU, us a record", lambda r: r["broker_cpu_us_a_record"]),
    ]),
    ("CPU samples at the fixed rate", "profile", [
        ("inside authorize(), %", lambda r: r["authorize"]),
        ("inside the principal builder's build(), %", lambda r: r["build"]),
        ("samples in all", lambda r: r["samples"]),
    ]),
    ("all topics in one Metadata request", "metadata", [
        ("cold, ms", lambda r: r["cold_ms"]),
        ("warm, ms", lambda r: r["warm_ms"]),
    ]),
    ("consumers that connect at once", "arrival", [
        ("until half of them read, s", lambda r: r["half_s"]),
        ("until all of them read, s", lambda r: r["all_s"]),
    ]),
    ("all topics in one Metadata request, OPA 5 ms away", "metadata_slow_opa", [
        ("cold, ms", lambda r: r["cold_ms"]),
        ("warm, ms", lambda r: r["warm_ms"]),
    ]),
]  # fmt: skip


def summary(results):
    """Rows of minimum and median by column."""
    rows = []
    for title, part, figures in FIGURES:
        for what, value in figures:
            by_column = {
                name: spread([value(one) for one in rounds])
                for name, rounds in results[part].items()
            }
            rows.append({"table": title, "what": what, "columns": by_column})
    return rows


def print_table(plan, rows):
    print(f"\nKafka {VERSION}, {os.cpu_count()} processors shared by broker, clients and OPA.")
    print(f"{plan}\nEach figure is minimum / median of the rounds.")
    table = None
    for row in rows:
        if row["table"] != table:
            table = row["table"]
            names = "".join(f"{name:>19}" for name in row["columns"])
            print(f"\n{table:<46}{names}")
        cells = "".join(f"{number(s):>19}" for s in row["columns"].values())
        print(f"  {row['what']:<44}{cells}")


def number(one):
    return f"{digits(one['min'])} / {digits(one['median'])}"


def digits(value):
    """Three are more than the noise leaves."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def say(text):
    print(f"  {text}", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="only whether everything works")
    parser.add_argument("--consumers", type=int, help="that connect at once")
    arguments = parser.parse_args()
    plan = SHORT if arguments.short else FULL
    plan.consumers = arguments.consumers or plan.consumers
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="doorkeeper-")))
        results = Bench(plan, directory, stack).run()
    rows = summary(results)
    print_table(plan, rows)
    file = REPOSITORY / "build" / "bench" / "broker.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    report = {"plan": vars(plan), "kafka": VERSION, "processors": os.cpu_count()}
    file.write_text(json.dumps(report | {"summary": rows, "results": results}, indent=1))
    print(f"\nEvery round as JSON in {file}")


if __name__ == "__main__":
    main()
