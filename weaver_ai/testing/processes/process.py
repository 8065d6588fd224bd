"""One process of the service: started, watched until it is ready, ended in order or at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self, final

from weaver_ai.watchdog import Watchdog

__all__ = ["Process", "ProcessFailed"]

_LOOK: Final = 0.05


class ProcessFailed(Exception):
    """A process ended, or didn't get ready or end in time; with what it wrote."""


@final
class Process:
    """`python -m weaver_ai ...`.

    Args:
        name: what reports call it.
        arguments: of the command.
        env: all of its environment.
        log: the file that it writes to, its standard error included; it runs in that file's directory.
        is_ready: asked until it says so.
        watchdog: ends it if nobody else can; one of its own where none is given.
        patience: seconds that it has to get ready, and to end when it is asked to.

    Attributes:
        url: where it listens, if it does.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        is_ready: Callable[[Process], bool],
        *,
        watchdog: Watchdog | None = None,
        url: str = "",
        patience: float = 60.0,
    ) -> None:
        self.name = name
        self.url = url
        self._arguments = arguments
        self._env = env
        self._log = log
        self._is_ready = is_ready
        self._watchdog = watchdog or Watchdog()
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._since = 0

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} doesn't run")
        return self._process.pid

    @property
    def log(self) -> str:
        """What it wrote so far, in this life and those before."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def life(self) -> str:
        """What it wrote since it was started last."""
        return self.log[self._since :]

    def start(self) -> Self:
        """Start it; `wait_ready` waits."""
        self._forget()
        self._since = len(self.log)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 # our own command
                [sys.executable, "-m", "weaver_ai", *self._arguments],
                env=dict(self._env),
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._watchdog.watch(self._process.pid)
        return self

    def wait_ready(self) -> Self:
        """Wait until it is.

        Raises:
            ProcessFailed: it ended, or isn't ready in time.
        """
        pause = threading.Event()  # not the clock, which a test may have stopped
        for _ in range(round(self._patience / _LOOK)):
            if self._process is None or (code := self._process.poll()) is not None:
                ending = "was not started" if self._process is None else f"ended with {code}"
                raise ProcessFailed(f"{self.name} {ending}:\n{self.life}")
            if self._is_ready(self):
                return self
            pause.wait(_LOOK)
        raise ProcessFailed(f"{self.name} was not ready in {self._patience:g} s:\n{self.life}")

    def kill(self) -> None:
        """End it as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget()

    def stop(self) -> None:
        """End it by SIGTERM.

        Raises:
            ProcessFailed: it didn't end in time, and was killed.
        """
        if self._process is not None and self.is_running:
            self._process.terminate()
            try:
                self._process.wait(self._patience)
            except subprocess.TimeoutExpired:
                self.kill()
                raise ProcessFailed(f"{self.name} ignored SIGTERM for {self._patience:g} s:\n{self.life}") from None
        self._forget()

    def _forget(self) -> None:
        if self._process is not None:
            self._watchdog.forget(self._process.pid)
