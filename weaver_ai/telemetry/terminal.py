"""Lines to the terminal from a thread of its own: one that doesn't take them costs lines, never the service."""

from __future__ import annotations

import io
import os
import stat
import sys
import threading
from collections import deque
from collections.abc import Sequence
from typing import Final, TextIO

from weaver_ai.telemetry.spare_threads import start_thread

__all__ = ["Console"]

_MOST: Final = 10_000  # lines that may wait
_starting = threading.RLock()


class Console:
    """Where lines go: `stream`, or what `sys.stderr` is at the time.

    They are written by a daemon thread, which the first of them starts. When more wait than it can hold, new ones are
    lost, and how many is written when the others have been. Without the thread (a child of a fork begins one of its
    own; there may be none at the end of a process) they are written at once; and so they are where a file or a text in
    memory stands in for `sys.stderr`, as in a test: nobody has to wait there, and the lines are that test's own.
    """

    def __init__(self, stream: TextIO | None = None, *, colour: bool | None = None) -> None:
        self._stream = stream
        self._colour = colour
        self._process: int | None = None
        self._begin_anew()

    @property
    def colour(self) -> bool:
        return self._target.isatty() if self._colour is None else self._colour

    def write(self, lines: Sequence[str]) -> None:
        """Have them written, together; returns at once."""
        if not lines:
            return
        target = self._target
        if self._stream is None and _takes_at_once(target):
            _put(target, lines)
            return
        if self._process != os.getpid():
            self._start()
        with self._changed:
            if self._alone:
                if self._waiting_lines + len(lines) > _MOST:
                    self._lost += len(lines)
                else:
                    self._waiting.append((target, lines))
                    self._waiting_lines += len(lines)
                    self._changed.notify_all()
                return
        _put(target, lines)

    def flush(self, seconds: float) -> bool:
        """Wait until all has been written; False if it hasn't within `seconds`."""
        if self._process != os.getpid():
            return True
        with self._changed:
            return self._changed.wait_for(self._is_idle, max(0.0, seconds))

    def close(self, seconds: float) -> bool:
        """As `flush`, and end the thread. What comes later is written at once, unless lines still wait."""
        with _starting:
            if self._process != os.getpid():  # nothing was written here, and a thread's lines are lost at the end
                self._begin_anew()
                self._alone = False
                self._process = os.getpid()
                return True
        flushed = self.flush(seconds)
        with self._changed:
            self._closing = True
            self._alone = not flushed
            self._changed.notify_all()
        return flushed

    @property
    def _target(self) -> TextIO:
        return self._stream or sys.stderr

    def _begin_anew(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[tuple[TextIO, Sequence[str]]] = deque()
        self._waiting_lines = 0
        self._lost = 0
        self._writing = False
        self._closing = False
        self._alone = True  # the thread is the only one that writes

    def _start(self) -> None:
        with _starting:
            if self._process == os.getpid():
                return
            self._begin_anew()  # a child's: its parent's lock may have been held, and its lines are its parent's
            try:
                start_thread(self._serve)
            except RuntimeError:  # at the end of a process
                self._alone = False
            self._process = os.getpid()

    def _is_idle(self) -> bool:
        return not (self._waiting or self._writing)

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    self._alone = False
                    return
                target, lines = self._waiting.popleft()
                self._waiting_lines -= len(lines)
                self._writing = True
                if self._lost and not self._waiting:
                    lines = [*lines, f"{self._lost} lines were lost: they came faster than the console took them"]
                    self._lost = 0
            _put(target, lines)


def _takes_at_once(target: TextIO) -> bool:
    if target is sys.__stderr__ or not isinstance(target, io.TextIOWrapper | io.StringIO):
        return False
    try:
        return stat.S_ISREG(os.fstat(target.fileno()).st_mode)
    except (OSError, ValueError):  # it has no descriptor, or is closed
        return True


def _put(target: TextIO, lines: Sequence[str]) -> None:
    text = "\n".join(lines) + "\n"
    try:
        if target is sys.__stderr__ and sys.platform != "win32":
            # Not through its buffer: Python can't end while a thread hangs in there.
            left = memoryview(text.encode(target.encoding, "backslashreplace"))
            while left:
                left = left[os.write(target.fileno(), left) :]
        else:
            target.write(text)
            target.flush()
    except Exception:  # noqa: BLE001 - the terminal went away, or what a program put in its place raised anything
        return
