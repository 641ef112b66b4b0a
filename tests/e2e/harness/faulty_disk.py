# SPDX-License-Identifier: Apache-2.0
"""A disk that is full, or hangs, for one file of one process."""

import contextlib
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


class FaultyDisk:
    def __init__(self, file, directory):
        self._file = file
        self._library = directory / "libfaulty_disk.so"
        command = ["cc", "-shared", "-fPIC", "-o", self._library, SOURCE]
        subprocess.run(command, check=True, timeout=60)

    @property
    def environment(self):
        """Of the process."""
        return {"LD_PRELOAD": str(self._library), "FAULTY_DISK_FILE": str(self._file)}

    @contextlib.contextmanager
    def that(self, fault):
        """"full" or "hangs"."""
        mark = Path(f"{self._file}.{fault}")
        mark.touch()
        try:
            yield
        finally:
            mark.unlink()
