# SPDX-License-Identifier: Apache-2.0
"""`doorkeeper explain` asks a real OPA, and says what a broker would."""

import json
import subprocess

import pytest

from harness import COMMAND

SECONDS = 60


@pytest.fixture(scope="module")
def opa(new_opa):
    opa = new_opa()
    opa.start()
    opa.publish("r7", {"topics": {"orders": {"read": ["alice"], "write": ["bob"]}}})
    return opa


@pytest.fixture
def explain(opa, tmp_path):
    properties = tmp_path / "server.properties"
    denied = tmp_path / "deny.json"
    denied.write_text(json.dumps({"deny": [{"principal": "User:mallory"}]}))
    properties.write_text(
        f"doorkeeper.opa.url={opa.url}\n"
        f"doorkeeper.deny.file={denied}\n"
        "super.users=User:admin\n"
    )

    def run(*arguments, text=None):
        done = subprocess.run(
            [COMMAND, "explain", "--config", properties, *arguments],
            capture_output=True, input=text, text=True, timeout=SECONDS,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


def asks(principal, operation, resource):
    return "--principal", principal, "--operation", operation, "--resource", resource


def line(output, label):
    return next(text for text in output.splitlines() if text.startswith(label))


def test_an_allowed_question_shows_the_answer_and_its_revision(explain):
    status, output, _ = explain(*asks("alice", "READ", "TOPIC:orders"))
    assert status == 0, output
    assert line(output, "principal").endswith("User:alice")
    assert '"name":"orders"' in output
    assert "ALLOW" in line(output, "answer") and "authz=r7" in line(output, "answer")
    assert "ALLOW" in line(output, "batch") and "NOT THE SAME" not in output
    assert "300000 ms" in line(output, "decision")


def test_a_denied_question_ends_with_1(explain):
    status, output, _ = explain(*asks("alice", "WRITE", "TOPIC:orders"))
    assert status == 1
    assert "DENY" in line(output, "decision") and "60000 ms" in line(output, "decision")


def test_local_rules_come_first(explain):
    status, output, _ = explain(*asks("admin", "ALTER", "CLUSTER:kafka-cluster"))
    assert status == 0 and "super user" in line(output, "rules")
    status, output, _ = explain(*asks("mallory", "READ", "TOPIC:orders"))
    assert status == 1 and "deny list" in line(output, "rules")
    assert "by the local rule" in line(output, "decision")


def test_the_facts_of_a_certificate_are_part_of_the_question(explain, pki):
    certificate = pki.identity("alice").certificate
    status, output, error = explain(
        *asks("alice", "READ", "TOPIC:orders"), "--certificate", certificate
    )
    assert status == 0, error
    assert '"type":"CN","value":"alice"' in line(output, "subject")
    assert '"subject":{' in output


def test_opas_own_trace_is_shown(explain):
    _, output, _ = explain(*asks("alice", "READ", "TOPIC:orders"), "--trace", "full")
    trace = output[output.index("\ntrace\n") :]
    assert "data.kafka.authz.allow" in trace


def test_a_recorded_decision_is_explained(explain):
    event = {
        "input": {
            "version": 1,
            "cluster": {"id": "c"},
            "principal": {"type": "User", "name": "bob"},
            "client": {},
            "action": {
                "operation": "WRITE",
                "resource": {"type": "TOPIC", "name": "orders", "pattern": "LITERAL"},
            },
        },
        "result": False,
        "timestamp": "2026-10-01T00:00:00Z",
    }
    status, output, error = explain("--from-log", "-", text=json.dumps(event))
    assert status == 0, error
    assert line(output, "recorded").startswith("recorded   denied, timestamp 2026-10-01")
    assert "ALLOW" in line(output, "decision"), "the policy of today is another one"


def test_without_opa_nobody_can_say(explain):
    url = "http://127.0.0.1:1"
    status, output, _ = explain(*asks("alice", "READ", "TOPIC:orders"), "--opa", url)
    assert status == 2
    assert line(output, "answer").endswith("none")
    assert "never cached" in line(output, "decision")


def test_names_cannot_write_on_the_terminal(explain):
    status, output, _ = explain(*asks("eve\u202e\x1b[2J", "READ", "TOPIC:x\u202e"))
    assert status == 1
    assert "\x1b" not in output and "\u202e" not in output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--principal", "alice"], "expected --principal, --operation and --resource"),
        ([*asks("alice", "EAT", "TOPIC:orders")], "expected Kafka's names"),
        ([*asks("alice", "READ", "TOPIC:orders"), "--trace", "all"], "--trace all: expected notes"),
        ([*asks("alice", "READ", "TOPIC:x"), "--certificate", "/nowhere"], "No such file"),
        (["--from-log", "{}"], "expected one line of a decision log"),
        (["--from-log", "{}", "--principal", "a"], "leave out --principal"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_wrong_usage_says_what_would_be_right(explain, arguments, words):
    status, _, error = explain(*arguments)
    assert status == 2
    assert words in error
