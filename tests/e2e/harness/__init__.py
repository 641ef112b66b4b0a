# SPDX-License-Identifier: Apache-2.0
"""Real brokers, a real OPA and real clients for the end-to-end tests and the demo."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
# `./dev package` writes it.
COMMAND = REPOSITORY / "dist" / "doorkeeper"
OPA = os.environ.get("OPA", REPOSITORY / ".dev" / "bin" / "opa")
