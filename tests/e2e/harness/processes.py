# SPDX-License-Identifier: Apache-2.0
"""Child processes, free ports, and waiting for a condition."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path


class Timeout(AssertionError):
    """A condition did not come true in time."""


def wait_until(what, condition, seconds=30.0, every=0.05):
    """Returns the first true value of condition(); `what` is for people."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise Timeout(f"not within {seconds:g} s: {what}")
        time.sleep(every)


def free_ports(count):
    """Loopback ports that nobody uses now; all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def is_listening(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A child whose output goes to a file; ended by its pid."""

    def __init__(self, command, log: Path, environment=None):
        self.log = log
        with log.open("ab") as output:
            # A session of its own: Ctrl-C is ours to handle, and the order of the end with it.
            self._child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self):
        return self._child.pid

    @property
    def cpu_seconds(self):
        """That it has used so far, in itself and for it in the kernel."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    @property
    def is_running(self):
        return self._child.poll() is None

    @property
    def exit_status(self):
        return self._child.poll()

    def signal(self, number):
        if self.is_running:
            self._child.send_signal(number)

    def stop(self, seconds=20.0):
        """Asks the process to end, and kills it if it does not."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self):
        self.signal(signal.SIGKILL)
        self._child.wait()

    def wait(self, seconds):
        return self._child.wait(seconds)

    def tail(self, lines=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
