"""Ends the processes that another one started, when that one is killed and can't do it itself.

This file is also the program that does it, so it imports nothing but the standard library.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import final

__all__ = ["Watchdog"]

_PATIENCE = 5.0


@final
class Watchdog:
    """A process that outlives this one by a moment, at the other end of a pipe, which closes however this one ends.

    It runs while there is anything to watch.

    Args:
        directory: what it deletes, too, when it has to end anything.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._watched: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its own; None while it doesn't run."""
        return None if self._process is None else self._process.pid

    def watch(self, pid: int) -> None:
        """End this process too."""
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(  # noqa: S603 # this file
                    [sys.executable, "-I", "-S", __file__, *([str(self._directory)] if self._directory else [])],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,  # a signal to the group of this process doesn't reach it
                )
            self._watched.add(pid)
            self._tell(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        """It has ended; the number may soon be another's. What isn't watched has been forgotten already."""
        with self._lock:
            if pid not in self._watched:
                return
            self._watched.discard(pid)
            self._tell(f"-{pid}\n")
            if not self._watched and self._process is not None:
                self._process.communicate()  # which closes the pipe, and waits
                self._process = None

    def _tell(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):  # somebody has killed it
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()


def _left_after(lines: Iterable[str]) -> set[int]:
    """The processes that were still watched when the pipe closed."""
    watched: set[int] = set()
    for line in lines:
        (watched.add if line[0] == "+" else watched.discard)(int(line[1:]))
    return watched


def _main(directories: Iterable[str]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with its pipe
    if left := _left_after(sys.stdin):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for directory in directories:
            _delete(directory)


def _delete(directory: str) -> None:
    """Again and again, for those that were killed may still be writing there."""
    until = time.monotonic() + _PATIENCE
    while Path(directory).exists() and time.monotonic() < until:
        shutil.rmtree(directory, ignore_errors=True)
        time.sleep(0.05)


if __name__ == "__main__":
    _main(sys.argv[1:])
