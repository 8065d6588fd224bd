"""The spans of a task: one that submits it, one for each attempt, both in the trace of whoever asked for it.

Names and attributes follow OpenTelemetry's messaging conventions. The consumer is a child of the
producer, not a root with a link to it, so that one request stays one trace; docs/decisions/0201.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from weaver_ai.errors import WeaverError
from weaver_ai.tasks.record import TaskError, TaskRecord, TaskRequest

__all__ = ["TaskSpan", "processing", "report", "submitting", "trace_id_of"]

_DESTINATION = "weaver.tasks"
_PROPAGATOR = TraceContextTextMapPropagator()
_logger = logging.getLogger("weaver_ai.tasks")


@dataclass(frozen=True, slots=True)
class TaskSpan:
    """The span of one attempt."""

    span: Span

    def failed(self, error: TaskError) -> None:
        self.span.set_attribute("error.type", error.code)
        self.span.set_status(Status(StatusCode.ERROR, error.message))


@contextmanager
def submitting(system: str, task_id: str, request: TaskRequest) -> Iterator[str | None]:
    """Around the acceptance of a task; gives the `traceparent` under which it is to run, None without tracing."""
    with _tracer().start_as_current_span(
        f"submit {request.capability}",
        context=_context_of(request.traceparent),
        kind=SpanKind.PRODUCER,
        attributes=_attributes(system, task_id, request.capability, "send", "submit")
        | {"weaver.task.priority": request.priority},
        set_status_on_exception=False,
        record_exception=False,
    ) as span:
        try:
            yield _traceparent(span) or request.traceparent
        except WeaverError as error:
            TaskSpan(span).failed(TaskError.of(error))
            raise


@contextmanager
def processing(system: str, record: TaskRecord) -> Iterator[TaskSpan]:
    """Around one attempt, in the trace that the record names and with nothing else of the outer context."""
    with _tracer().start_as_current_span(
        f"task {record.capability}",
        context=_context_of(record.traceparent),
        kind=SpanKind.CONSUMER,
        attributes=_attributes(system, record.id, record.capability, "process", "task")
        | {"weaver.task.priority": record.priority, "weaver.task.attempt": record.attempts},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        attempt = TaskSpan(span)
        try:
            yield attempt
        except WeaverError as error:
            attempt.failed(TaskError.of(error))
            raise
        except Exception as error:
            span.record_exception(error)
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR, "the task's handler raised"))
            raise
        except BaseException:
            span.set_attribute("weaver.task.cancelled", True)
            raise


def report(error: BaseException, record: TaskRecord) -> None:
    """Log what a handler raised; the record only says that it did."""
    _logger.error(
        "task %s (%s) failed", record.id, record.capability, exc_info=error, extra={"weaver.task.id": record.id}
    )


def trace_id_of(traceparent: str | None) -> str | None:
    """The 32 hexadecimal digits of a W3C `traceparent`."""
    return traceparent.split("-")[1] if traceparent is not None and traceparent.count("-") >= 3 else None  # noqa: PLR2004 - version-trace-span-flags


def _tracer() -> trace.Tracer:
    return trace.get_tracer("weaver_ai.tasks")


def _attributes(system: str, task_id: str, capability: str, kind: str, operation: str) -> dict[str, str | int]:
    return {
        "messaging.system": system,
        "messaging.operation.type": kind,
        "messaging.operation.name": operation,
        "messaging.destination.name": _DESTINATION,
        "messaging.message.id": task_id,
        "weaver.task.id": task_id,
        "weaver.capability": capability,
    }


def _context_of(traceparent: str | None) -> context.Context | None:
    if traceparent is None:
        return None
    return _PROPAGATOR.extract({"traceparent": traceparent}, context=context.Context())


def _traceparent(span: Span) -> str | None:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, context=trace.set_span_in_context(span, context.Context()))
    return carrier.get("traceparent")
