"""What a span belongs to: the test, the fixture or the session that was at work when it began."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal
from weakref import ref

from opentelemetry.sdk.trace import ReadableSpan, Span

__all__ = ["BODY", "Captured", "Origin", "captured_of"]


@dataclass(slots=True, eq=False)
class Origin:
    """Where spans come from.

    Attributes:
        name: a test's node id, or what a fixture is called and for which scope it stands.
        closed: nothing more belongs here: the test is over.
    """

    name: str
    kind: Literal["test", "fixture", "session"]
    closed: bool = False

    @property
    def is_test(self) -> bool:
        return self.kind == "test"


BODY: ContextVar[Origin | None] = ContextVar("weaver_test", default=None)
"""The test whose body started this task; copied into tasks, empty in raw threads and in fixtures."""


class Captured:
    """One span of the SDK, from its start. The live span holds its record, not the other way round:
    a cycle would leave every span of every test to the garbage collector.

    Attributes:
        parent: the record of its live parent, or None for a root, a remote parent or one that isn't the SDK's.
        rewritten: the last version that differs from the live span: what a wrapping processor (Logfire's
            scrubbing) let through to the exporters.
        renamed: the trace id, the span id and the parent's that stand for its own, where another span of the test
            has those: whoever seeds `random` for each example, as Hypothesis does, gets the same ids again.
        left_open: its own test has seen that it never ended.
        ended_late: it ended after its test was over.
    """

    ended = False
    ended_late = False
    left_open = False
    rewritten: ReadableSpan | None = None
    renamed: tuple[str, str, str | None] | None = None

    def __init__(self, span: Span, origin: Origin, parent: Captured | None) -> None:
        span._weaver_captured = self  # type: ignore[attr-defined] # quicker than a weak dictionary
        self._span = ref(span)
        self.origin = origin
        self.parent = parent

    @property
    def span(self) -> Span:
        """The live span, which the recording holds; read again for each snapshot until it has ended."""
        span = self._span()
        assert span is not None, "the recording of this span is gone"  # noqa: S101 # for the type
        return span

    @property
    def name(self) -> str:
        return self.latest.name

    @property
    def is_phantom(self) -> bool:
        """Logfire threw it away right after its start, by the rate on the span; nobody can end it any more."""
        if self.ended:
            return False
        rate = (self.span.attributes or {}).get("logfire.sample_rate")
        return isinstance(rate, int | float) and self.span.get_span_context().span_id > round(rate * 2**64)

    @property
    def latest(self) -> ReadableSpan:
        """What left the process, or would have."""
        return self.rewritten or self.span


def captured_of(span: object) -> Captured | None:
    """The record of a live span; wrappers of spans forward the look-up. None for what isn't the SDK's."""
    found = getattr(span, "_weaver_captured", None)
    return found if isinstance(found, Captured) else None
