# SPDX-License-Identifier: Apache-2.0
"""`doorkeeper bench` with a real OPA and the shipped policy. No figure of time is judged."""

import json
import subprocess

import pytest

from harness import COMMAND
from harness.opa import Opa
from harness.processes import wait_until

# So few that a moment is enough to ask for everything, and no deadline in the way.
LOAD = ["--principals", "3", "--topics", "10", "--groups", "2"]
MOMENT = ["--threads", "2", "--warmup", "0.2", "--duration", "2", "--rate", "200",
          "--set", "doorkeeper.deadline.ms=2000", "--set", "num.io.threads=8"]  # fmt: skip


class LoggingOpa(Opa):
    """Writes every question that it is asked into its log."""

    def _config(self):
        return {**super()._config(), "decision_logs": {"console": True}}

    def questions(self):
        lines = self.process.log.read_text().splitlines()
        return [line for line in lines if '"type":"openpolicyagent.org/decision_logs"' in line]


def doorkeeper_bench(*arguments):
    assert COMMAND.exists(), "./dev package builds what is tested here"
    command = [str(part) for part in (COMMAND, "bench", *arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def measured(*arguments):
    ended = doorkeeper_bench(*MOMENT, "--json", "-", *arguments)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def granting_opa(new_opa):
    """Has the grants that the command itself prints."""
    opa = new_opa(LoggingOpa)
    opa.start()
    opa.publish("bench", json.loads(doorkeeper_bench(*LOAD, "--print-grants").stdout))
    return opa


def test_the_printed_grants_allow_the_whole_load(granting_opa):
    results = measured("--opa", granting_opa.url, *LOAD)
    assert results["decisions"] > 0
    assert results["outcomes"]["allowed"] == results["decisions"]
    assert results["metrics"]["opa-failures"] == 0


def test_other_names_are_denied(granting_opa):
    results = measured("--opa", granting_opa.url, *LOAD, "--mix", "fetch=1",
                       "--topic-prefix", "unknown-")  # fmt: skip
    assert results["decisions"] > 0
    assert results["outcomes"]["denied"] == results["decisions"]


def test_the_decision_log_can_be_replayed(granting_opa, tmp_path):
    before = len(granting_opa.questions())
    measured("--opa", granting_opa.url, *LOAD)
    recorded = tmp_path / "questions.jsonl"
    wait_until("OPA has logged questions", lambda: len(granting_opa.questions()) > before)
    recorded.write_text("\n".join(granting_opa.questions()[before:]))
    results = measured("--opa", granting_opa.url, "--replay", recorded)
    assert "recorded questions" in results["run"]["load"]
    assert results["decisions"] > 0
    assert results["outcomes"]["allowed"] == results["decisions"]


def test_without_opa_it_fails(granting_opa):
    ended = doorkeeper_bench("--opa", "http://127.0.0.1:1", "--set", "doorkeeper.start.wait.ms=100")
    assert ended.returncode == 1
    assert "did not become ready" in ended.stderr
