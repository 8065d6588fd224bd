"""Ends the processes that another one started, when that one is killed and can't do it itself.

This file is also the program that does it, so it imports nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

__all__ = ["Watchdog"]

_PATIENCE = 5.0


class Watchdog:
    """A process that outlives this one by a moment, at the other end of a pipe, which closes however this one ends.

    Args:
        process: already started by `start`.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, directory: str) -> Watchdog:
        """Start one, which deletes `directory`, too, when it has to end anything."""
        # A session of its own: a signal to the group of this process doesn't reach it.
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                __file__,
                directory,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        )

    def watch(self, pid: int) -> None:
        """End this process too."""
        self._tell(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        """It has ended; the number may soon be another's."""
        self._tell(f"-{pid}\n")

    async def aclose(self) -> None:
        """Let it go, once all that it watches has been forgotten."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(line.encode())


def _left_after(lines: Iterable[str]) -> set[int]:
    """The processes that were still watched when the pipe closed."""
    watched: set[int] = set()
    for line in lines:
        (watched.add if line[0] == "+" else watched.discard)(int(line[1:]))
    return watched


def _main(directory: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with its pipe
    if left := _left_after(sys.stdin):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _delete(directory)


def _delete(directory: str) -> None:
    """Again and again, for those that were killed may still be writing there."""
    until = time.monotonic() + _PATIENCE
    while Path(directory).exists() and time.monotonic() < until:
        shutil.rmtree(directory, ignore_errors=True)
        time.sleep(0.05)


if __name__ == "__main__":
    _main(sys.argv[1])
