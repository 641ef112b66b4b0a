# SPDX-License-Identifier: Apache-2.0
"""Which part of a broker's CPU time its authorizer takes, by async-profiler's samples."""

import re
import subprocess

from harness import REPOSITORY

LIBRARY = REPOSITORY / ".dev" / "async-profiler" / "libasyncProfiler.so"
INTERVAL = "250us"  # of CPU time
# Frames of a stack, from the outermost on: these are calls into a plugin, whoever wrote it.
AUTHORIZE = re.compile(r"(^|;)[^;]*Authorizer\.authorize(_\[\w\])?(;|$)")
BUILD = re.compile(r"(^|;)[^;]*PrincipalBuilder\.build(_\[\w\])?(;|$)")


class Profile:
    """Samples the CPU time of all threads of a broker, C included, while it is open."""

    def __init__(self, column, file):
        self._pid = column.pid
        self._file = file
        self.percent = None

    def __enter__(self):
        # A timer for each thread, which needs no permission of the kernel.
        self._command(f"start,event=ctimer,interval={INTERVAL}")
        return self

    def __exit__(self, *_):
        self._command(f"stop,file={self._file},collapsed")
        self.percent = parts(self._file.read_text().splitlines())

    def _command(self, arguments):
        command = ["jcmd", str(self._pid), "JVMTI.agent_load", str(LIBRARY), f'"{arguments}"']
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert "return code: 0" in done.stdout, done.stdout + done.stderr


def parts(stacks):
    """`stacks`: "frame;frame;frame samples"."""
    samples = {"all": 0, "authorize": 0, "build": 0}
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        samples["all"] += int(count)
        if AUTHORIZE.search(stack):
            samples["authorize"] += int(count)
        elif BUILD.search(stack):
            samples["build"] += int(count)
    percent = {name: 100 * n / samples["all"] for name, n in samples.items() if name != "all"}
    return percent | {"samples": samples["all"]}
