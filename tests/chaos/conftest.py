# SPDX-License-Identifier: Apache-2.0
"""The brokers and OPAs are those of the end-to-end tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from harness.fixtures import new_cluster, new_opa, pki  # noqa: E402, F401
from outages import rows_by_client  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--fault-seconds", type=float, default=3, help="how long each fault lasts")
    parser.addoption("--all-begin", action="store_true", help="all kinds of clients, in each fault")


def pytest_configure(config):
    config.observations, config.rows = [], []


def pytest_terminal_summary(terminalreporter, config):
    """What each fault did, and what became of each client, as docs/outages.md has it."""
    for rows in [config.rows, list(rows_by_client(config.observations))]:
        for line in table(rows):
            terminalreporter.write_line(line)


def table(rows):
    if not rows:
        return
    yield ""
    yield "| " + " | ".join(rows[0]) + " |"
    yield "| --- " * len(rows[0]) + "|"
    for row in rows:
        yield "| " + " | ".join(map(str, row.values())) + " |"
