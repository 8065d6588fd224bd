"""Span and log processors that both backends share: redaction, inbound links, scopes to leave out."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.context import Context, attach, create_key, get_value, set_value
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanContext, Status

from weaver_ai.telemetry.attributes import name_of
from weaver_ai.telemetry.propagation import INBOUND_LINK
from weaver_ai.telemetry.redaction import Redactor
from weaver_ai.telemetry.validation import record_validation_errors

__all__ = [
    "ATTEMPT",
    "AttemptErrors",
    "InboundLinks",
    "RedactingLogs",
    "RedactingSpans",
    "SwitchLogs",
    "SwitchSpans",
    "ValidationErrors",
    "note_failed_attempt",
]

ATTEMPT: Final = "pydantic_ai.model_request.attempt"
"""On the span of a model that was tried, failed, and gave way to the next one."""

_FAILURE: Final = create_key("weaver.failed-attempt")


class RedactingSpans(SpanProcessor):
    """Redacts a span in place, before any processor's `on_end` sees it, in whichever order they were added.

    The SDK calls `_on_ending` of every processor before it makes the snapshot that `on_end` gets; there
    is no public way to change an ended span, so the span's private fields are replaced here.
    What was given at the start is redacted in `on_start`, for exporters of open spans.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        del parent_context
        _replace(span._attributes, self._redactor.attributes(span._attributes))
        name = self._redactor.text(name_of(span.name))
        if name != span.name:
            span.update_name(name)

    def _on_ending(self, span: Span) -> None:
        text = self._redactor.text
        span._name = text(name_of(span._name))
        _replace(span._attributes, self._redactor.attributes(span._attributes))
        if span._events:  # asked before the copy that the public property makes
            for event in span.events:
                self._event(event)
        if span._links:
            for link in span.links:
                _replace(link.attributes, self._redactor.attributes(link.attributes))
        status = span.status
        if status.description and (description := text(status.description)) != status.description:
            span._status = Status(status.status_code, description)

    def _event(self, event: Event) -> None:
        event._name = self._redactor.text(event.name)
        _replace(event.attributes, self._redactor.attributes(event.attributes))


def _replace(attributes: Any, redacted: Mapping[str, Any] | None) -> None:
    """Put the redacted values into the SDK's (by now immutable) BoundedAttributes."""
    if redacted is None or attributes is None:
        return
    inner: dict[str, Any] = getattr(attributes, "_dict", attributes)
    inner.clear()  # keys may have changed as well
    inner.update(redacted)


class RedactingLogs(LogRecordProcessor):
    """Redacts a log record in place; processors after it see the redacted one."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        record = log_record.log_record
        record.body = self._redactor.value("", record.body)
        _replace(record.attributes, self._redactor.attributes(record.attributes))

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        del timeout_millis
        return True


class InboundLinks(SpanProcessor):
    """Links a new root span to the trace that a request came from, in the inbound mode "link"."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if span.parent is None:
            remote = get_value(INBOUND_LINK, parent_context)
            if isinstance(remote, SpanContext):
                span.add_link(remote)


def note_failed_attempt(code: str) -> None:
    """Say what `error.type` the next span of a model of a fallback chain that failed is to have.

    It is forgotten at the end of the span that is current, which is that of the whole model request.
    """
    attach(set_value(_FAILURE, code))


class AttemptErrors(SpanProcessor):
    """Gives `error.type` to a failed model of a fallback chain: pydantic-ai makes and ends its span in one go."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if span.attributes and ATTEMPT in span.attributes:
            code = get_value(_FAILURE, parent_context)
            if isinstance(code, str):
                span.set_attribute("error.type", code)


class ValidationErrors(LogRecordProcessor):
    """Puts the errors that FastAPI only counts in a log record on the request's span."""

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        if log_record.log_record.event_name != "fastapi.validation.failed":
            return
        fastapi = sys.modules.get("fastapi.telemetry")  # the record comes from it; telemetry never imports it
        if fastapi is None:
            return
        data = fastapi.get_telemetry_data()
        if data is not None and data.errors:
            record_validation_errors(data.errors)

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        del timeout_millis
        return True


class SwitchSpans(SpanProcessor):
    """The one processor of a provider that stays: what stands behind it can be replaced."""

    def __init__(self) -> None:
        self.targets: tuple[SpanProcessor, ...] = ()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        for target in self.targets:
            target.on_start(span, parent_context)

    def _on_ending(self, span: Span) -> None:
        for target in self.targets:
            target._on_ending(span)

    def on_end(self, span: ReadableSpan) -> None:
        for target in self.targets:
            target.on_end(span)

    def shutdown(self) -> None:
        for target in self.targets:
            target.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        flushed = [target.force_flush(timeout_millis) for target in self.targets]
        return all(flushed)


class SwitchLogs(LogRecordProcessor):
    """As `SwitchSpans`, for log records."""

    def __init__(self) -> None:
        self.targets: tuple[LogRecordProcessor, ...] = ()

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        for target in self.targets:
            target.on_emit(log_record)

    def shutdown(self) -> None:
        for target in self.targets:
            target.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        flushed = [target.force_flush(timeout_millis) for target in self.targets]
        return all(flushed)
