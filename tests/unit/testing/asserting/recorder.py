"""A source of spans that a test fills by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.unit.spans.building import make
from weaver_ai.spans import Span


class Recorder:
    """Spans in the order in which they began."""

    def __init__(self, spans: Sequence[Span] = (), *, why: Sequence[str] = ()) -> None:
        self.spans = list(spans)
        self.version = 0
        self.snapshots = 0
        self.listeners: list[Callable[[], None]] = []
        self._why = why
        self._lock = threading.Lock()

    @property
    def next_sequence(self) -> int:
        return len(self.spans) + 1

    def snapshot(self) -> Sequence[Span]:
        self.snapshots += 1
        return tuple(self.spans)

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        self.listeners.append(wake)
        return lambda: self.listeners.remove(wake)

    def why_empty(self) -> Sequence[str]:
        return self._why

    def begin(self, name: str, parent: int | None = None, **fields: object) -> int:
        with self._lock:
            number = self.next_sequence
            self.spans.append(make(name, number, parent, start=number, duration=None, **fields))  # type: ignore[arg-type]
            self.version += 1
        self._wake()
        return number

    def end(self, number: int) -> None:
        with self._lock:
            span = self.spans[number - 1]
            self.spans[number - 1] = replace(span, end=span.start + 1_000_000)
            self.version += 1
        self._wake()

    def _wake(self) -> None:
        for listener in list(self.listeners):
            listener()
