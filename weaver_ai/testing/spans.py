"""The `spans` fixture's object: the verbs over what a source recorded so far, and waiting for more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

from weaver_ai.spans.render import Style
from weaver_ai.spans.tree import Forest
from weaver_ai.testing.asserting.expect import Selection
from weaver_ai.testing.asserting.explain import Look
from weaver_ai.testing.asserting.promises import Promises
from weaver_ai.testing.asserting.source import Source
from weaver_ai.testing.asserting.waiting import Eventually, Waiting

__all__ = ["Spans"]


@final
class Spans(Selection):
    """All that a source has recorded when a question is asked, open spans included.

    Args:
        source: what records; asked again whenever its version grew.
        timeout: seconds that `eventually`, `wait` and `settle` wait unless they are told otherwise.
        colour: colour the messages (ANSI); False in CI.
        promises: where what `eventually` gives is noted until it is awaited.
    """

    def __init__(
        self, source: Source, *, timeout: float = 5.0, colour: bool = False, promises: Promises | None = None
    ) -> None:
        self._source = source
        self._timeout = timeout
        self._promises = promises or Promises()
        self._style = Style(width=96, colour=colour)
        self._known: tuple[int, Forest] | None = None
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
        __tracebackhide__ = True
        (self.wait if timeout is None else self.wait(timeout)).settle()

    @contextmanager
    def scope(self) -> Iterator[Spans]:
        """Only the spans that begin inside: `with spans.scope() as act: ...; act.one("POST *")`."""
        inner = Spans(self._source, timeout=self._timeout, colour=self._style.colour, promises=self._promises)
        first = self._source.next_sequence
        inner._began = first, None
        try:
            yield inner
        finally:
            inner._began = first, self._source.next_sequence

    def _look(self) -> Look:
        version = self._source.version
        if self._known is None or self._known[0] != version:
            forest = Forest(self._source.snapshot())
            # An open span can get attributes, which no version tells: then nothing is kept.
            self._known = None if any(span.is_open for span in forest.spans) else (version, forest)
        else:
            forest = self._known[1]
        if self._began is None:
            return Look(forest, None, None, "spans", self._style, self._source.why_empty)
        first, last = self._began
        sequences = [span.sequence for span in forest.spans]
        inside = [
            place for place, number in enumerate(sequences) if number >= first and (last is None or number < last)
        ]
        among = set(inside)
        roots = [place for place in inside if forest.parent(place) not in among]
        return Look(forest, inside, roots, "spans", self._style, self._source.why_empty)
