# SPDX-License-Identifier: Apache-2.0
"""The brokers and OPAs are those of the end-to-end tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from harness.fixtures import new_cluster, new_opa, pki  # noqa: E402, F401


def pytest_configure(config):
    config.outages = []


def pytest_terminal_summary(terminalreporter, config):
    """What each fault did, as docs/outages.md has it."""
    if config.outages:
        columns = list(config.outages[0])
        terminalreporter.write_line(f"| {' | '.join(columns)} |")
        terminalreporter.write_line("| --- " * len(columns) + "|")
        for row in config.outages:
            terminalreporter.write_line(f"| {' | '.join(str(row[c]) for c in columns)} |")


def pytest_addoption(parser):
    parser.addoption("--fault-seconds", type=float, default=3, help="how long each fault lasts")
