# SPDX-License-Identifier: Apache-2.0
"""`doorkeeper replay` on what a real OPA logged while a real broker asked it."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import urllib.request
import xml.etree.ElementTree as ElementTree

import pytest

from harness import COMMAND, OPA, REPOSITORY
from harness.clients import Client
from harness.opa import Opa, bundle
from harness.processes import Process, wait_until

GRANTS = {
    "topics": {"orders": {"read": ["alice", "bob"], "write": ["alice"]}, "closed": {}},
    "cluster": {"kafka-cluster": {}},
}
WITHOUT_BOB = {**GRANTS, "topics": {"orders": {"read": ["alice"], "write": ["alice"]}}}


class FileLoggingOpa(Opa):
    """Writes its decisions to a file."""

    def _config(self):
        plugins = {"file_logger": {"path": str(self.log)}}
        return super()._config() | {"decision_logs": {"plugin": "file_logger"}, "plugins": plugins}

    @property
    def log(self):
        return self._directory / "decisions.log"


class LoggingOpa(Opa):
    """Prints its decisions on its console."""

    def _config(self):
        return super()._config() | {"decision_logs": {"console": True}}

    def _arguments(self):
        return [*super()._arguments(), "--log-level", "info"]

    @property
    def log(self):
        return self.process.log


@pytest.fixture(scope="module")
def log(new_opa, new_cluster, pki):
    """alice writes and reads orders, bob reads them, mallory may not."""
    opa = new_opa(LoggingOpa)
    opa.start()
    opa.publish("first", GRANTS)
    cluster = new_cluster(opa.url)
    cluster.start()
    assert Client(cluster, pki.identity("admin")).create_topics(["orders", "closed"]) is None
    assert Client(cluster, pki.identity("alice")).produce("orders", b"x") is None
    for reader in ("alice", "bob"):
        values, error = Client(cluster, pki.identity(reader)).consume("orders", 1)
        assert (values, error) == ([b"x"], None)
    assert Client(cluster, pki.identity("mallory")).produce("orders", b"x") is not None
    cluster.stop()
    path = opa.log
    opa.stop()
    return path


@pytest.fixture
def publish(tmp_path):
    """A bundle file with the shipped policy and some grants."""

    def write(revision, grants):
        path = tmp_path / f"{revision}.tar.gz"
        path.write_bytes(bundle(revision, grants))
        return path

    return write


@pytest.fixture
def replay(tmp_path):
    """Runs the command; afterwards nothing of its OPA may be left."""
    (tmp_path / "tmp").mkdir()

    def run(*arguments, stdin=b""):
        command = [COMMAND, "replay", *arguments, "--opa-binary", OPA]
        environment = os.environ | {"TMPDIR": str(tmp_path / "tmp")}
        return subprocess.run(
            command, input=stdin, capture_output=True, env=environment, timeout=120, check=False
        )

    yield run
    assert list((tmp_path / "tmp").iterdir()) == []


def report_of(run, status):
    assert run.returncode == status, run.stderr.decode()
    return json.loads(run.stdout)


def test_the_same_policy_changes_nothing(log, publish, replay):
    same = publish("same", GRANTS)
    report = report_of(replay(log, "--policy", same, "--output", "json"), 0)
    assert report["differences"] == []
    assert report["totals"]["unchanged"]["decisions"] == report["log"]["decisions"] > 0
    report = report_of(replay(log, "--policy", same, "--against", same, "--output=json"), 0)
    assert report["differences"] == []


def test_a_client_that_loses_a_topic_is_found(log, publish, replay, tmp_path):
    changed = publish("changed", WITHOUT_BOB)
    comment, junit = tmp_path / "comment.md", tmp_path / "junit.xml"
    run = replay(
        *(log, "--policy", changed, "--output", "json", "--output", f"markdown={comment}"),
        *("--output", f"junit={junit}"),
    )
    report = report_of(run, 1)
    lost = {(one["principal"], one["operation"], one["resource"]) for one in report["differences"]}
    assert ("User:bob", "READ", "TOPIC:orders") in lost
    assert {principal for principal, _, _ in lost} == {"User:bob"}
    assert {one["class"] for one in report["differences"]} == {"newly-denied"}
    assert "changed" in report["policy"]["revision"]
    assert "<code>User:bob</code>" in comment.read_text()
    failures = ElementTree.parse(junit).getroot().findall("testcase/failure")
    assert len(failures) == len(report["differences"])
    assert report_of(
        replay(log, "--policy", changed, "--output=json", "--fail-on", "newly-allowed"), 0
    )


def test_a_running_opa_gzip_and_standard_input(log, new_opa, replay):
    opa = new_opa()
    opa.start()
    opa.publish("without-bob", WITHOUT_BOB)
    decisions = [line for line in log.read_text().splitlines() if '"Decision Log"' in line]
    upload = gzip.compress(f"[{','.join(decisions)}]".encode())
    run = replay("-", "--policy", opa.url, "--output", "json", stdin=upload)
    report = report_of(run, 1)
    assert {one["principal"] for one in report["differences"]} == {"User:bob"}
    assert report["policy"]["revision"] == "authz=without-bob"
    assert report["log"]["unreadable"] == 0


def test_one_rule_for_all_and_a_filter(log, publish, replay):
    """Single questions are answered as those in batches are."""
    changed = publish("changed", WITHOUT_BOB)
    singly = ("--rule", "kafka/authz/allow", "--output", "json")
    report = report_of(replay(log, "--policy", changed, *singly), 1)
    assert {one["principal"] for one in report["differences"]} == {"User:bob"}
    report = report_of(replay(log, "--policy", changed, *singly, "--principal", "alice"), 0)
    assert report["log"]["filtered"] > 0


def test_a_policy_that_fails_on_one_name(log, publish, replay, tmp_path):
    """A conflict takes only its own question down, not the batch."""
    failing = tmp_path / "failing"
    (failing / "kafka" / "grants").mkdir(parents=True)
    policy = (REPOSITORY / "policies/kafka/authz/authz.rego").read_text()
    (failing / "kafka" / "authz.rego").write_text(
        policy + '\nowned(who, ask) := {7} if "orders" in ask.names\n'
    )
    (failing / "kafka" / "grants" / "data.json").write_text(json.dumps(GRANTS))
    report = report_of(replay(log, "--policy", failing, "--output=json"), 1)
    assert {one["class"] for one in report["differences"]} == {"error"}
    assert {one["resource"] for one in report["differences"]} == {"TOPIC:orders"}


def test_a_bundle_that_is_none_says_why(log, replay, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "policy.rego").write_text("package kafka.authz\nallow if {\n")
    run = replay(log, "--policy", broken)
    assert run.returncode == 2
    assert b"OPA did not start" in run.stderr and b"rego_parse_error" in run.stderr


def test_it_leaves_nothing_behind_when_it_is_stopped(log, publish, tmp_path):
    """An OPA that never listens; Ctrl-C ends both."""
    started = tmp_path / "started"
    waiting = tmp_path / "waiting-opa"
    waiting.write_text(f"#!/bin/sh\necho $$ > {started}.new\nmv {started}.new {started}\n"
                       "exec sleep 600\n")  # fmt: skip
    waiting.chmod(0o700)
    (tmp_path / "tmp").mkdir()
    command = [COMMAND, "replay", log, "--policy", publish("same", GRANTS)]
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp")}
    process = Process([*command, "--opa-binary", waiting], tmp_path / "replay.log", environment)
    wait_until("its OPA runs", started.exists)
    process.signal(signal.SIGINT)
    assert process.wait(30) == 2
    assert list((tmp_path / "tmp").iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


def test_what_opa_wrote_to_a_file(new_opa, publish, replay):
    opa = new_opa(FileLoggingOpa)
    opa.start()
    opa.publish("first", GRANTS)
    question = (REPOSITORY / "policies" / "examples" / "single.json").read_bytes()
    for _ in range(3):
        urllib.request.urlopen(f"{opa.url}/v1/data/kafka/authz/allow", question, 10).close()
    wait_until("it is written", lambda: opa.log.read_text().count('"kafka/authz/allow"') == 3)
    report = report_of(replay(opa.log, "--policy", publish("same", GRANTS), "--output=json"), 0)
    assert report["log"]["decisions"] == 3 and report["differences"] == []


MORNINGS = """package kafka.authz
is_morning if { [hour, _, _] := time.clock(time.now_ns()); hour < 12 }
default allow := false
allow if is_morning
batch := answers if {
	time.now_ns() < time.parse_rfc3339_ns("2026-04-01T00:00:00Z") # undefined since
	answers := [asks |
		some request in input.requests
		asks := [names | some ask in request.asks; names := [i | some i, _ in ask.names; is_morning]]
	]
}
"""


def timed_event(name, hour, result):
    event = json.loads((REPOSITORY / "policies" / "examples" / "single.json").read_text())
    event["input"]["principal"]["name"] = name
    event |= {"path": "kafka/authz/allow", "result": result}
    event |= {"timestamp": f"2026-03-01T{hour}:00:00Z", "nd_builtin_cache": {"time.now_ns": {}}}
    return json.dumps(event) + "\n"


@pytest.mark.parametrize("rule", ["kafka/authz/allow", "kafka/authz/batch"])
def test_a_policy_that_looks_at_the_clock(replay, tmp_path, rule):
    policy, log = tmp_path / "mornings", tmp_path / "log.jsonl"
    policy.mkdir()
    (policy / "policy.rego").write_text(MORNINGS)
    log.write_text(timed_event("early", "09", True) + timed_event("late", "15", False))

    def classes(status, *arguments):
        run = replay(log, "--policy", policy, "--rule", rule, "--output", "json", *arguments)
        totals = report_of(run, status)["totals"]
        return {name: one["decisions"] for name, one in totals.items() if one["decisions"]}

    assert classes(0) == {"not-reproducible": 2}
    assert classes(0, "--fix-time", "recorded") == {"unchanged": 2}
    assert classes(1, "--fix-time", "2026-03-01T13:00:00Z") == {"unchanged": 1, "newly-denied": 1}
    assert classes(1, "--fix-time", "2026-03-01T08:00:00Z") == {"unchanged": 1, "newly-allowed": 1}


SLOW = """package kafka.authz
allow := count([i | some i in numbers.range(1, 50000)]) < count(input.action.operation)
"""
QUESTIONS = 200


def test_an_interrupted_run_goes_on(replay, tmp_path):
    policy, log, answers = tmp_path / "slow", tmp_path / "log.jsonl", tmp_path / "answers"
    policy.mkdir()
    (policy / "policy.rego").write_text(SLOW)
    log.write_text("".join(timed_event(f"client-{n}", "09", False) for n in range(QUESTIONS)))
    arguments = (log, "--policy", policy, "--fix-time", "recorded", "--resume", answers)
    arguments += ("--output", "json")

    command = [COMMAND, "replay", *arguments, "--opa-binary", OPA]
    first = Process(command, tmp_path / "first.log", os.environ | {"TMPDIR": str(tmp_path / "tmp")})
    wait_until("it has some answers", lambda: answers.exists() and answers.stat().st_size > 0)
    first.signal(signal.SIGTERM)
    assert first.wait(30) == 2
    kept = answers.read_text()
    assert 0 < len(kept.splitlines()) < QUESTIONS

    report = report_of(replay(*arguments), 0)
    assert report["totals"]["unchanged"]["questions"] == QUESTIONS
    lines = answers.read_text().splitlines()
    assert answers.read_text().startswith(kept)
    assert len(lines) == len(set(lines)) == QUESTIONS, "each answer is kept once"

    answers.write_text("\n".join(lines).replace("DENY", "ALLOW", 1) + "\n")
    report = report_of(replay(*arguments), 1)
    assert report["totals"]["newly-allowed"]["questions"] == 1, "answers are taken from the file"
    (policy / "policy.rego").write_text(SLOW + "# changed\n")
    report_of(replay(*arguments), 0)  # they were another policy's
    assert replay(log, "--policy", "http://127.0.0.1:1", "--resume", answers).returncode == 2


def run_gate(policy, log, out):
    environment = os.environ | {"OPA": OPA, "DOORKEEPER": COMMAND, "REVISION": "candidate"}
    command = [REPOSITORY / "policies" / "ci" / "gate", policy, log, out]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=120, check=False
    )


def test_the_gate_for_ci(log, tmp_path):
    """Passes a policy that changes nothing, and stops the one that takes a topic from bob."""
    policy, out = tmp_path / "policy", tmp_path / "out"
    shutil.copytree(REPOSITORY / "policies" / "kafka" / "authz", policy / "kafka" / "authz")
    grants = policy / "kafka" / "grants" / "data.json"
    grants.parent.mkdir()
    grants.write_text(json.dumps(GRANTS))
    run = run_gate(policy, log, out)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "no decision changes" in (out / "comment.md").read_text()

    grants.write_text(json.dumps(WITHOUT_BOB))
    run = run_gate(policy, log, out)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "<code>User:bob</code>" in (out / "comment.md").read_text()
    assert "candidate" in (out / "replay.json").read_text()

    (policy / "more.rego").write_text("package more\nnot_covered if input.x\n")
    assert run_gate(policy, log, out).returncode == 3


def test_the_gate_with_the_example_log(tmp_path):
    """policies/examples/decisions.jsonl goes with the grants beside it."""
    examples = REPOSITORY / "policies" / "examples"
    policy, out = tmp_path / "policy", tmp_path / "out"
    shutil.copytree(REPOSITORY / "policies" / "kafka", policy / "kafka")
    grants = policy / "kafka" / "grants" / "data.json"
    grants.parent.mkdir()
    given = json.loads((examples / "grants" / "data.json").read_text())
    grants.write_text(json.dumps(given))
    run = run_gate(policy, examples / "decisions.jsonl", out)
    assert run.returncode == 0, run.stdout + run.stderr
    given["topics"]["example_topic"]["read"] = []
    grants.write_text(json.dumps(given))
    run = run_gate(policy, examples / "decisions.jsonl", out)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "<code>User:clientA.grab</code>" in (out / "comment.md").read_text()
