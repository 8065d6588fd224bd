"""`start_span`: the one way in which weaver's own code makes a span."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Final

from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanKind, set_span_in_context

from weaver_ai.telemetry.attributes import attributes_of, name_of
from weaver_ai.telemetry.exceptions import mark_error
from weaver_ai.telemetry.runtime import active

__all__ = ["start_span"]

_NO_SPAN: Final[AbstractContextManager[Span]] = nullcontext(INVALID_SPAN)


def start_span(
    name: str,
    /,
    *,
    _kind: SpanKind = SpanKind.INTERNAL,
    _links: Sequence[Link] = (),
    _parent: Context | None = None,
    **attributes: object,
) -> AbstractContextManager[Span]:
    """A span around a block of code, sync or async, as the child of the current one.

    Attributes may be anything: what OpenTelemetry can't hold becomes JSON text, None is left out.
    Dotted names are given as `**{"weaver.task.id": task_id}`. An exception that leaves the block is
    recorded on the span, sets its status to error and `error.type` (a `WeaverError`'s code, else the
    exception's qualified name), and goes on; a cancelled block has `error.type` `cancelled` and no
    exception event. Without telemetry the block runs with a span that records nothing.

    Args:
        name: low in cardinality: `task classify`, not `task 4711`.
        _kind: internal unless the span crosses a process or a queue.
        _links: spans of other traces that this one has to do with.
        _parent: a context to use instead of the current one.
        **attributes: of the span, from its start.

    Example:
        >>> with start_span("agent.execute", task_id="t-1", capability="classify") as span:
        ...     span.set_attribute("weaver.task.state", "running")
    """
    if not active().enabled:
        return _NO_SPAN
    return _SpanBlock(name_of(name), attributes, _kind, _links, _parent)


class _SpanBlock(AbstractContextManager[Span]):
    __slots__ = ("_attributes", "_kind", "_links", "_name", "_parent", "_span", "_token")

    def __init__(
        self,
        name: str,
        attributes: dict[str, object],
        kind: SpanKind,
        links: Sequence[Link],
        parent: Context | None,
    ) -> None:
        self._name = name
        self._attributes = attributes
        self._kind = kind
        self._links = links
        self._parent = parent

    def __enter__(self) -> Span:
        here = active()
        name, attributes = self._name, attributes_of(self._attributes)
        if here.redact_at_start:  # the application's processors see the start of a span before weaver's does
            redactor = here.telemetry.redactor
            name, attributes = redactor.text(name), redactor.attributes(attributes) or attributes
        self._span = here.tracer.start_span(
            name, context=self._parent, kind=self._kind, attributes=attributes, links=self._links
        )
        self._token = context_api.attach(set_span_in_context(self._span, self._parent))
        return self._span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # SystemExit, KeyboardInterrupt and GeneratorExit end a block without it having failed.
        try:
            if isinstance(error, (Exception, CancelledError)):
                mark_error(self._span, error)
        finally:
            self._span.end()
            context_api.detach(self._token)
