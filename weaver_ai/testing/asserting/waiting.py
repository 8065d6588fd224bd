"""The verbs that wait for spans to end: one class for tests with an event loop, one for those without."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar, Unpack, final

from weaver_ai.spans.conditions import Ended
from weaver_ai.spans.query import SpanPattern, find
from weaver_ai.spans.values import clip
from weaver_ai.testing.asserting import explain
from weaver_ai.testing.asserting.alarm import until, until_async
from weaver_ai.testing.asserting.expect import SpanView, earliest_in_order, required
from weaver_ai.testing.asserting.explain import ExpectationFailed, Look
from weaver_ai.testing.asserting.match import Conditions, Expected, What, pattern_of
from weaver_ai.testing.asserting.promises import Promise, Promises
from weaver_ai.testing.asserting.source import Source
from weaver_ai.testing.asserting.wish import Wish, await_for, block_for

__all__ = ["Eventually", "Waiting"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates

_QUIET = 0.05  # seconds without a span beginning or ending, after which nothing more is taken to come

Found = TypeVar("Found")


class _Wishes:
    """What the two ways of waiting share. Only spans that have ended count, unless the question says `open`."""

    def __init__(self, look: Callable[[], Look], source: Source, timeout: float) -> None:
        self._look = look
        self._source = source
        self._timeout = timeout

    def _one(self, pattern: SpanPattern, verb: str) -> Wish[SpanView]:
        def attempt() -> SpanView | None:
            look = self._look()
            found = find(pattern, look.forest, look.positions)
            if len(found) > 1:
                raise ExpectationFailed("\n".join(explain.many(look, verb, pattern, found)))
            return SpanView(look, found[0]) if found else None

        return Wish(attempt, lambda: self._missed(pattern, verb))

    def _some(self, pattern: SpanPattern, verb: str) -> Wish[list[SpanView]]:
        def attempt() -> list[SpanView] | None:
            look = self._look()
            return [SpanView(look, position) for position in find(pattern, look.forest, look.positions)] or None

        return Wish(attempt, lambda: self._missed(pattern, verb))

    def _first(self, pattern: SpanPattern, verb: str) -> Wish[SpanView]:
        def attempt() -> SpanView | None:
            look = self._look()
            return next((SpanView(look, position) for position in find(pattern, look.forest, look.positions)), None)

        return Wish(attempt, lambda: self._missed(pattern, verb))

    def _in_order(self, patterns: Sequence[SpanPattern], verb: str) -> Wish[list[SpanView]]:
        def attempt() -> list[SpanView] | None:
            look = self._look()
            found = earliest_in_order(look, patterns)
            return [SpanView(look, position) for position in found] if len(found) == len(patterns) else None

        def missed() -> Iterator[str]:
            look = self._look()
            return explain.in_order(look, patterns, earliest_in_order(look, patterns), verb)

        return Wish(attempt, missed)

    def _closed(self) -> Wish[bool]:
        def attempt() -> bool | None:
            look = self._look()
            return not any(position in look.domain for position in look.forest.open) or None

        return Wish(attempt, lambda: explain.still_open(self._look(), self._timeout))

    def _missed(self, pattern: SpanPattern, verb: str) -> Iterator[str]:
        return explain.none_found(self._look(), verb, pattern, waited=self._timeout)

    def _stirs(self) -> Callable[[], bool | None]:
        """Whether a span began or ended since now."""
        version = self._source.version
        return lambda: self._source.version != version or None


def _asked(verb: str, name: What | None, attributes: Mapping[str, Expected] | None, given: Conditions) -> SpanPattern:
    pattern = pattern_of(verb, name, attributes, given)
    if pattern is None:
        raise TypeError(f"{verb}() needs a condition")
    return _ended(pattern)


def _in_turn(names: Sequence[What], verb: str) -> list[SpanPattern]:
    if not names:
        raise TypeError(f"{verb}() needs a name")
    return [_ended(required(verb, name)) for name in names]


def _ended(pattern: SpanPattern) -> SpanPattern:
    if any(condition.label == "open" for condition in pattern.conditions):
        return pattern
    return pattern & SpanPattern([Ended()])


@final
class Eventually(_Wishes):
    """`await` them in a test that asyncio, anyio or trio runs; the loop goes on meanwhile.

    A question that is never awaited fails the test.
    """

    def __init__(self, look: Callable[[], Look], source: Source, timeout: float, promises: Promises) -> None:
        super().__init__(look, source, timeout)
        self._promises = promises

    def __call__(self, timeout: float) -> Eventually:
        """The same verbs with another timeout: `spans.eventually(timeout=30).one(...)`."""
        return Eventually(self._look, self._source, timeout, self._promises)

    def one(
        self,
        name: What | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> Promise[SpanView]:
        """The span that matches, when it has ended; fails at once when several match."""
        pattern = _asked("eventually.one", name, attributes, conditions)
        return self._promise("one", pattern.asked(), self._one(pattern, "eventually.one"))

    def some(
        self,
        name: What | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> Promise[list[SpanView]]:
        """The spans that match, as soon as there is one that has ended."""
        pattern = _asked("eventually.some", name, attributes, conditions)
        return self._promise("some", pattern.asked(), self._some(pattern, "eventually.some"))

    def first(
        self,
        name: What | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> Promise[SpanView]:
        """The earliest of the spans that match, as soon as there is one that has ended."""
        pattern = _asked("eventually.first", name, attributes, conditions)
        return self._promise("first", pattern.asked(), self._first(pattern, "eventually.first"))

    def in_order(self, *names: What) -> Promise[list[SpanView]]:
        """As `in_order`, when all of them have ended."""
        patterns = _in_turn(names, "eventually.in_order")
        asked = ", ".join(pattern.asked() for pattern in patterns)
        return self._promise("in_order", asked, self._in_order(patterns, "eventually.in_order"))

    def settle(self) -> Promise[None]:
        """No span is open, and none has begun or ended for a moment."""
        return self._promises.make("spans", "settle", "", self._settled)

    async def _settled(self) -> None:
        deadline = time.monotonic() + self._timeout
        await self._come(self._closed())
        while await until_async(self._source.subscribe, self._stirs(), _QUIET) and time.monotonic() < deadline:
            await self._come(self._closed())

    def _promise(self, verb: str, asked: str, wish: Wish[Found]) -> Promise[Found]:
        return self._promises.make("spans", verb, clip(asked, 120), lambda: self._come(wish))

    async def _come(self, wish: Wish[Found]) -> Found:
        return await await_for(wish, self._source.subscribe, self._timeout)


@final
class Waiting(_Wishes):
    """They block the thread: for tests whose spans end in other threads or processes."""

    def __call__(self, timeout: float) -> Waiting:
        """The same verbs with another timeout: `spans.wait(30).one(...)`."""
        return Waiting(self._look, self._source, timeout)

    def one(
        self,
        name: What | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> SpanView:
        """The span that matches, when it has ended; fails at once when several match."""
        return self._come(self._one(_asked("wait.one", name, attributes, conditions), "wait.one"))

    def some(
        self,
        name: What | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> list[SpanView]:
        """The spans that match, as soon as there is one that has ended."""
        return self._come(self._some(_asked("wait.some", name, attributes, conditions), "wait.some"))

    def first(
        self,
        name: What | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> SpanView:
        """The earliest of the spans that match, as soon as there is one that has ended."""
        return self._come(self._first(_asked("wait.first", name, attributes, conditions), "wait.first"))

    def in_order(self, *names: What) -> list[SpanView]:
        """As `in_order`, when all of them have ended."""
        return self._come(self._in_order(_in_turn(names, "wait.in_order"), "wait.in_order"))

    def settle(self) -> None:
        """No span is open, and none has begun or ended for a moment."""
        deadline = time.monotonic() + self._timeout
        self._come(self._closed())
        while until(self._source.subscribe, self._stirs(), _QUIET) and time.monotonic() < deadline:
            self._come(self._closed())

    def _come(self, wish: Wish[Found]) -> Found:
        return block_for(wish, self._source.subscribe, self._timeout, "spans")
