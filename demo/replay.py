# SPDX-License-Identifier: Apache-2.0
"""What another policy would have decided of recorded traffic: `./dev demo --replay`."""

import json
import subprocess

from harness import COMMAND, OPA
from harness.clients import Client
from harness.opa import bundle
from harness.processes import wait_until

TOPIC = "orders"
GRANTS = {"topics": {TOPIC: {"read": ["alice", "bob"], "write": ["alice"]}}}
WITHOUT_BOB = {"topics": {TOPIC: {"read": ["alice"], "write": ["alice"]}}}
SAME, DIFFERENT = 0, 1
SECONDS = 60


def settings(directory):
    return {"doorkeeper.decision.log.file": directory / "decisions.jsonl"}


class Replay:
    """A broker that records, and a policy that is not deployed yet."""

    def __init__(self, story, cluster, directory, pki):
        self._story = story
        self._log = settings(directory)["doorkeeper.decision.log.file"]
        self._directory = directory
        self._client = lambda name: Client(cluster, pki.identity(name))

    def walk(self):
        self._record()
        self._story.step("the same policy again: nothing would change")
        self._story.expect("exit status", self._replay(GRANTS, "same"), SAME)
        self._story.step("a policy in which bob may no longer read orders")
        self._story.expect("exit status", self._replay(WITHOUT_BOB, "candidate"), DIFFERENT)
        self._story.step("the same as a comment for the pull request")
        status = self._replay(WITHOUT_BOB, "candidate", "--output", "markdown")
        self._story.expect("exit status", status, DIFFERENT)

    def _record(self):
        self._story.step("alice writes and reads, bob reads; the broker records what is decided")
        admin, alice, bob = map(self._client, ("admin", "alice", "bob"))
        self._story.expect("admin creates the topic", admin.create_topic(TOPIC), None)
        self._story.expect("alice writes", alice.produce(TOPIC, b"one"), None)
        self._story.expect("bob reads", bob.consume(TOPIC, 1, group="bob:demo")[1], None)
        wait_until("it is recorded", lambda: "READ" in self._operations_of("bob"))
        lines = self._lines()
        print(f"    {len(lines)} lines in {self._log.name}, the last one:\n    {lines[-1]}")

    def _lines(self):
        text = self._log.read_text()
        return text[: text.rfind("\n") + 1].splitlines()  # the rest is being written

    def _operations_of(self, name):
        inputs = [json.loads(line)["input"] for line in self._lines()]
        return {i["action"]["operation"] for i in inputs if i["principal"]["name"] == name}

    def _replay(self, grants, revision, *arguments):
        policy = self._directory / f"{revision}.tar.gz"
        policy.write_bytes(bundle(revision, grants))
        command = [COMMAND, "replay", self._log, "--policy", policy, "--opa-binary", OPA]
        print(f"    $ doorkeeper replay {self._log.name} --policy {policy.name}", *arguments, "\n")
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=SECONDS
        )
        print("".join(f"    {line}\n" for line in done.stdout.splitlines()) + done.stderr)
        return done.returncode
