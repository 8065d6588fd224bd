"""Where the spans of a test come from, as the assertions see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from weaver_ai.spans import Span

__all__ = ["Source", "Subscribe"]

Subscribe: TypeAlias = Callable[[Callable[[], None]], Callable[[], None]]
"""Takes what to call after each change, from whichever thread; returns what ends that."""


class Source(Protocol):
    """A recorder of spans. Every member may be called from any thread."""

    @property
    def version(self) -> int:
        """Grows with every span that begins or ends; equal versions mean equal snapshots."""
        ...

    @property
    def next_sequence(self) -> int:
        """The `sequence` that the next span to begin will get."""
        ...

    def snapshot(self) -> Sequence[Span]:
        """Each span once, open ones included (with `end` None), in any order.

        Questions are quick where those that didn't change are the same objects, in the same order, as the last time.
        """
        ...

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after each span that begins or ends, until the returned function is called.

        `wake` is called in the thread of that span, after `version` grew, without a lock of the source
        held. It returns at once and doesn't raise.
        """
        ...

    def why_empty(self) -> Sequence[str]:
        """The reasons, a line each, why nothing was captured; asked only where that is the case."""
        ...
