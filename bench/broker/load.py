# SPDX-License-Identifier: Apache-2.0
"""What Kafka's own load generators say of one broker, and what the broker says and used."""

import os
import re
import subprocess
import threading
import time
from dataclasses import dataclass

from harness.jmx import mean_times
from harness.kafka import java

PRODUCER = "org.apache.kafka.tools.ProducerPerformance"
CONSUMER = "org.apache.kafka.tools.ConsumerPerformance"
IDENTITY = "bench"
RECORD_BYTES = 1000
PATIENCE_SECONDS = 300
WARM_UP_PART = 3  # the producer leaves out what it still compiles in
TICKS = os.sysconf("SC_CLK_TCK")

_PRODUCED = re.compile(
    r"(?P<records>\d+) records sent, (?P<rate>[\d.]+) records/sec .*?"
    r"(?P<mean_ms>[\d.]+) ms avg latency, .*?"
    r"(?P<p50_ms>\d+) ms 50th, \d+ ms 95th, (?P<p99_ms>\d+) ms 99th, (?P<p999_ms>\d+) ms 99.9th"
)


def cpu_seconds(pid):
    """Of all threads of the process, since its start."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@dataclass
class Round:
    """`rate` 0: as fast as it goes."""

    topic: str
    records: int
    rate: int = 0


def run(column, one: Round):
    """Drives the broker and looks at it before and afterwards."""
    column.create_topics([one.topic])
    before = mean_times(column.cluster)
    began, cpu = time.monotonic(), cpu_seconds(column.pid)
    produced, consumed = drive(column, one)
    used, took = cpu_seconds(column.pid) - cpu, time.monotonic() - began
    return {
        "producer": produced,
        "consumer": consumed,
        "broker_cpu_us_a_record": 1e6 * used / one.records,
        "broker_cores": used / took,
        "broker_ms": _between(before, mean_times(column.cluster)),
    }


def drive(column, one: Round):
    """Produces and consumes at the same time if there is a rate, else one after the other."""
    consumed = {}
    reader = threading.Thread(target=lambda: consumed.update(_consume(column, one)))
    if one.rate:
        reader.start()
    produced = _produce(column, one)
    if not one.rate:
        reader.start()
    reader.join()
    return produced, consumed


def _produce(column, one):
    output = _tool(
        column, PRODUCER, "--topic", one.topic, "--num-records", one.records,
        "--record-size", RECORD_BYTES, "--throughput", one.rate or -1,
        "--warmup-records", one.records // WARM_UP_PART,
    )  # fmt: skip
    lines = [match.groupdict() for match in _PRODUCED.finditer(output)]
    assert lines, output
    return {key: float(value) for key, value in lines[-1].items()}


def _consume(column, one):
    output = _tool(
        column, CONSUMER, "--topic", one.topic, "--num-records", one.records, "--hide-header",
        "--group", f"{IDENTITY}:{one.topic}", "--timeout", 30000,
    )  # fmt: skip
    # start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, MB/s and records/s of it
    fields = output.strip().splitlines()[-1].split(",")
    assert len(fields) == 10 and int(fields[4]) >= one.records, output
    return {"records": float(fields[4]), "rate": float(fields[9])}


def _tool(column, main_class, *arguments):
    properties = column.cluster.java_client_properties(column.pki.identity(IDENTITY))
    command = java(
        "-XX:TieredStopAtLevel=4",
        main=[
            main_class, "--bootstrap-server", column.cluster.bootstrap,
            "--command-config", properties, *arguments,
        ],
        memory="512m",
    )  # fmt: skip
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _between(before, after):
    """Mean milliseconds of the requests between two looks."""
    means = {}
    for name, (count, total) in after.items():
        count_before, total_before = before[name]
        requests = count - count_before
        means[name] = (total - total_before) / requests if requests else None
    return means
