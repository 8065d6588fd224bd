"""The spans of a task: one that submits it, one for each attempt, both in the trace of whoever asked for it.

Names and attributes follow OpenTelemetry's messaging conventions: a span's name is that of the operation and that of
the destination, which is the capability, for tasks wait in a line for each. The consumer is a child of the
producer, not a root with a link to it, so that one request stays one trace; docs/decisions/0201.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from weaver_ai.tasks.record import Priority, TaskError, TaskRecord, TaskRequest, TaskState, state_of
from weaver_ai.telemetry import names
from weaver_ai.telemetry.exceptions import mark_error
from weaver_ai.telemetry.logs import bind_log_context, log_error
from weaver_ai.telemetry.spans import start_span

__all__ = ["Attempt", "TraceContext", "processing", "report", "submitting", "trace_id_of"]

_PROPAGATOR: Final = TraceContextTextMapPropagator()


@contextmanager
def submitting(system: str, task_id: str, request: TaskRequest, delay: float = 0.0) -> Iterator[TraceContext]:
    """Around the acceptance of a task; gives the context under which it is to run, an empty one without tracing."""
    attributes = _attributes(system, task_id, request.capability, request.priority, kind="send", operation="submit")
    if delay > 0:
        attributes[names.TASK_DELAY] = round(delay, 3)
    with start_span(
        names.SPAN_SUBMIT.format(capability=request.capability),
        _kind=SpanKind.PRODUCER,
        _parent=_context_of(request.traceparent, request.tracestate),
        **attributes,
    ) as span:
        own = _carried(span)
        yield own if own.traceparent is not None else TraceContext(request.traceparent, request.tracestate)


class TraceContext(NamedTuple):
    """What goes from one process to another, as W3C Trace Context has it."""

    traceparent: str | None = None
    tracestate: str | None = None


@dataclass(slots=True)
class Attempt:
    """One attempt as its span tells it."""

    span: Span
    state: TaskState = "failed"
    _marked: bool = False

    def raised(self, error: Exception) -> None:
        """The handler raised; what became of the attempt is told by `ended` all the same."""
        mark_error(self.span, error)
        self._marked = True

    def ended(self, error: TaskError | None, pause: float | None = None) -> None:
        """The attempt has ended, with or without an error; another one follows after `pause` seconds."""
        self.state = state_of(error) if pause is None else "scheduled"
        if pause is not None:
            self.span.set_attribute(names.TASK_RETRY_DELAY, round(pause, 3))
        if error is not None and not self._marked:
            self.span.set_attribute("error.type", "cancelled" if self.state == "cancelled" else error.code)
            self.span.set_status(Status(StatusCode.ERROR, error.message))


@contextmanager
def processing(system: str, record: TaskRecord) -> Iterator[Attempt]:
    """Around one attempt, in the trace that the record names and with nothing else of the outer context."""
    attributes = _attributes(system, record.id, record.capability, record.priority, kind="process", operation="task")
    attributes[names.TASK_ATTEMPT] = record.attempts
    with (
        bind_log_context(task_id=record.id),
        start_span(
            names.SPAN_TASK.format(capability=record.capability),
            _kind=SpanKind.CONSUMER,
            _parent=_context_of(record.traceparent, record.tracestate),
            **attributes,
        ) as span,
    ):
        attempt = Attempt(span)
        try:
            yield attempt
        except asyncio.CancelledError:
            attempt.state = "cancelled"
            raise
        finally:
            span.set_attribute(names.TASK_STATE, attempt.state)


def report(error: BaseException, record: TaskRecord) -> None:
    """Log what a handler raised; the record only says that it did."""
    ids: dict[str, Any] = {names.TASK_ID: record.id, names.TASK_CAPABILITY: record.capability}
    log_error("a task's handler raised", exception=error, **ids)


def trace_id_of(traceparent: str | None) -> str | None:
    """The 32 hexadecimal digits of a W3C `traceparent`, None if it isn't one."""
    parent = _context_of(traceparent)
    span = trace.get_current_span(parent).get_span_context() if parent is not None else trace.INVALID_SPAN_CONTEXT
    return trace.format_trace_id(span.trace_id) if span.is_valid else None


def _attributes(
    system: str, task_id: str, capability: str, priority: Priority, *, kind: str, operation: str
) -> dict[str, Any]:
    return {
        "messaging.system": system,
        "messaging.operation.type": kind,
        "messaging.operation.name": operation,
        "messaging.destination.name": capability,
        "messaging.message.id": task_id,
        names.TASK_ID: task_id,
        names.TASK_CAPABILITY: capability,
        names.TASK_PRIORITY: priority,
    }


def _context_of(traceparent: str | None, tracestate: str | None = None) -> Context | None:
    if traceparent is None:
        return None
    carrier = {"traceparent": traceparent, **({} if tracestate is None else {"tracestate": tracestate})}
    return _PROPAGATOR.extract(carrier, context=Context())


def _carried(span: Span) -> TraceContext:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, context=trace.set_span_in_context(span, Context()))
    return TraceContext(carrier.get("traceparent"), carrier.get("tracestate"))
