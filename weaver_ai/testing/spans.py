"""The `spans` fixture's object: the verbs over what a source recorded so far, and waiting for more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import inf
from typing import final

from weaver_ai.spans.growing import Growing
from weaver_ai.spans.render import Style
from weaver_ai.spans.tree import Forest
from weaver_ai.testing.asserting.drawn import Drawn
from weaver_ai.testing.asserting.expect import Selection
from weaver_ai.testing.asserting.explain import Look
from weaver_ai.testing.asserting.promises import Promises
from weaver_ai.testing.asserting.source import Source
from weaver_ai.testing.asserting.waiting import Eventually, Waiting

__all__ = ["MESSAGE", "Spans"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates

MESSAGE = Style(width=96)
"""Of a message, where no terminal says how wide it is."""


@final
class Spans(Selection):
    """All that a source has recorded when a question is asked, open spans included.

    Args:
        source: what records; asked again whenever its version grew.
        timeout: seconds that `eventually`, `wait` and `settle` wait unless they are told otherwise.
        style: how messages are set.
        promises: where what `eventually` gives is noted until it is awaited.
        drawn: where it is noted which trees a message shows.
    """

    def __init__(
        self,
        source: Source,
        *,
        timeout: float = 5.0,
        style: Style = MESSAGE,
        promises: Promises | None = None,
        drawn: Drawn | None = None,
    ) -> None:
        self._source = source
        self._timeout = timeout
        self._promises = promises or Promises()
        self._style = style
        self._drawn = drawn
        self._growing = Growing()
        self._known: tuple[int, Forest] | None = None
        self._inside: tuple[Forest, Sequence[int], Sequence[int]] | None = None
        self._began: tuple[int, int | None] | None = None

    @property
    def eventually(self) -> Eventually:
        """The verbs that wait, for async tests: `await spans.eventually.one("publish *")`."""
        return Eventually(self._look, self._source, self._timeout, self._promises)

    @property
    def wait(self) -> Waiting:
        """The verbs that wait, for tests without an event loop: `spans.wait.one("publish *")`."""
        return Waiting(self._look, self._source, self._timeout)

    def settle(self, timeout: float | None = None) -> None:
        """Block until no span is open and none has begun or ended for a moment; then ask `none`.

        In an async test write `await spans.eventually.settle()`, so that the loop can go on.

        Raises:
            ExpectationFailed: a span is still open after `timeout` seconds.
        """
        (self.wait if timeout is None else self.wait(timeout)).settle()

    @contextmanager
    def scope(self) -> Iterator[Spans]:
        """Only the spans that begin inside: `with spans.scope() as act: ...; act.one("POST *")`."""
        inner = Spans(
            self._source, timeout=self._timeout, style=self._style, promises=self._promises, drawn=self._drawn
        )
        first = self._source.next_sequence
        inner._began = first, None
        try:
            yield inner
        finally:
            inner._began = first, self._source.next_sequence

    def _look(self) -> Look:
        forest = self._forest()
        if self._began is None:
            return Look(forest, None, None, "spans", self._style, self._source.why_empty, self._drawn)
        scoped = self._scoped(forest, *self._began)
        return Look(forest, *scoped, "spans", self._style, self._source.why_empty, self._drawn)

    def _forest(self) -> Forest:
        version = self._source.version
        if self._known is not None and self._known[0] == version:
            return self._known[1]
        forest = self._growing.forest(self._source.snapshot())
        # An open span can get attributes, which no version tells: then it is looked at again.
        self._known = None if forest.open else (version, forest)
        return forest

    def _scoped(self, forest: Forest, first: int, last: int | None) -> tuple[Sequence[int], Sequence[int]]:
        """The positions of what began inside, and those of them that have no parent there."""
        if self._inside is None or self._inside[0] is not forest:
            end = inf if last is None else last
            inside = [place for place, span in enumerate(forest.spans) if first <= span.sequence < end]
            among = set(inside)
            self._inside = forest, inside, [place for place in inside if forest.parent(place) not in among]
        return self._inside[1:]
