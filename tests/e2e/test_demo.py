# SPDX-License-Identifier: Apache-2.0
"""The demo, as somebody who pipes its output sees it; and what is left when it is interrupted."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import REPOSITORY
from harness.kafka import HAS_METRICS, START_SECONDS
from harness.processes import Process, wait_until

END_SECONDS = 60
STEPS = [
    "root and intermediate authority, certificates for the broker and its clients",
    "admin, a super user of the broker, creates the topic orders",
    "alice may write orders and read it",
    "bob may only read orders",
    "bob asks again: his denial comes from the cache, OPA is not asked",
    "mallory's certificate is valid, but nobody granted her anything",
    "a certificate of another authority is refused by TLS",
    "a new bundle grants bob to write; his cached denial would live for a minute",
    *(["the core's counters"] if HAS_METRICS else []),
    "The broker is still there; as alice:",
]


class Demo:
    """One run; whatever it leaves on disk would be below `directory`."""

    def __init__(self, directory, *arguments):
        self.directory = directory / "temporary"
        self.directory.mkdir()
        command = [sys.executable, REPOSITORY / "demo" / "demo.py", *arguments]
        # Whoever started pytest may have it ignore SIGINT; a person's demo does not.
        command = ["env", "--default-signal=INT", *command]
        environment = os.environ | {"TMPDIR": str(self.directory)}
        self.process = Process(command, directory / "output", environment)

    def output(self):
        return self.process.log.read_text()

    def wait_for(self, what, condition):
        def is_met():
            assert self.process.is_running, self.output()
            return condition()

        return wait_until(what, is_met, START_SECONDS)

    def children(self):
        """What runs with its files: OPA and Kafka have them on their command lines."""
        return [
            command
            for command in map(command_line, Path("/proc").glob("[0-9]*"))
            if str(self.directory) in command
        ]

    def interrupt(self):
        """Returns the exit status; nothing of the demo is left then."""
        assert self.children() and list(self.directory.iterdir())
        self.process.signal(signal.SIGINT)
        status = self.process.wait(END_SECONDS)
        assert self.children() == []
        assert list(self.directory.iterdir()) == []
        return status


def command_line(process: Path):
    try:
        return (process / "cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:  # it has ended meanwhile
        return ""


@pytest.fixture
def start_demo(tmp_path):
    started = []

    def start(*arguments):
        started.append(Demo(tmp_path, *arguments))
        return started[-1]

    yield start
    for demo in started:
        demo.process.stop(END_SECONDS)


def test_a_run_from_end_to_end(start_demo):
    demo = start_demo("--keep")
    demo.wait_for("the demo is through", lambda: "Ctrl-C ends it." in demo.output())
    lines = demo.output().splitlines()
    assert [line for line in lines if line in STEPS] == STEPS
    (command,) = [line.strip() for line in lines if line.strip().startswith("kcat ")]
    listing = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert listing.returncode == 0 and 'topic "orders"' in listing.stdout, listing
    assert demo.interrupt() == 0
    assert demo.output().splitlines()[-1] == "everything was as expected"
    assert "\033" not in demo.output()


def test_an_interrupted_run_leaves_nothing(start_demo):
    demo = start_demo()

    def kafka_runs():
        return any("kafka.Kafka" in command for command in demo.children())

    demo.wait_for("the broker is on its way", kafka_runs)
    assert demo.interrupt() == 130
    assert "everything" not in demo.output()


def test_a_replay_says_who_would_lose_what(start_demo):
    demo = start_demo("--replay")
    assert demo.process.wait(START_SECONDS + END_SECONDS) == 0, demo.output()
    table, comment = demo.output().split("### Policy replay: decisions change")
    assert "unchanged" in table and "User:bob   READ" in table
    assert "| <code>User:bob</code> | <code>READ</code> | <code>TOPIC:orders</code> |" in comment
    assert "User:alice" not in comment.partition("newly-denied")[2]
