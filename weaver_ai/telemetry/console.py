"""The console: a trace as a tree with one line a span, a log record as one line.

A tree is written when the span that this process began it with has ended; log records are written at
once. In the minimal form only failed spans and records from warning up are written, one line each.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from opentelemetry.context import create_key, get_value
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import StatusCode

from weaver_ai.telemetry.terminal import Console

__all__ = ["NO_CONSOLE", "ConsoleLogs", "ConsoleSpans", "log_lines", "trace_lines"]

NO_CONSOLE: Final = create_key("weaver-no-console")
"""Set in a record's context when another handler already writes it to the terminal."""

_WARN: Final = 13  # OpenTelemetry's severity numbers
_ERROR: Final = 17
_MAX_GROUP: Final = 400
_MAX_OPEN: Final = 20_000
_MAX_VALUE: Final = 120
_MAX_BODY: Final = 2_000  # characters of a line

_RESET, _DIM, _RED, _YELLOW, _CYAN, _BOLD = "\x1b[0m", "\x1b[2m", "\x1b[31m", "\x1b[33m", "\x1b[36m", "\x1b[1m"
_SHOWN: Final = (  # attribute, how it is written
    ("http.response.status_code", "{}"),
    ("weaver.task.id", "task={}"),
    ("gen_ai.usage.input_tokens", "in={}"),
    ("gen_ai.usage.output_tokens", "out={}"),
    ("operation.cost", "${:.6f}"),
    ("weaver.run.cost", "${:.6f}"),
)
_AT_LEAST: Final = frozenset({"gen_ai.usage.output_tokens", "operation.cost"})  # of an answer that broke off
_HIDDEN_IN_LOGS: Final = ("exception.stacktrace", "code.file.path", "code.function.name", "code.line.number")


class ConsoleSpans(SpanProcessor):
    """Writes each trace of this process when its first span has ended.

    What begins after that, below one that is still open, is a tree of its own, written when the open one has ended.
    """

    def __init__(self, console: Console, *, minimal: bool = False) -> None:
        self._console = console
        self._minimal = minimal
        self._lock = threading.RLock()  # a finalizer or a signal handler may come in between
        self._first: dict[int, int] = {}  # an open span -> the first span of its group
        self._ended: dict[int, list[ReadableSpan]] = {}

    def on_start(self, span: Span, parent_context: object = None) -> None:
        del parent_context
        context = span.get_span_context()
        if self._minimal or not context.trace_flags.sampled or len(self._first) >= _MAX_OPEN:
            return
        own = context.span_id
        above = own if span.parent is None else span.parent.span_id
        with self._lock:
            first = self._first.get(above, own)
            if first not in self._ended:
                first = above if above in self._first else own
                self._first[first] = first
                self._ended[first] = []
            self._first[own] = first

    def on_end(self, span: ReadableSpan) -> None:
        context = span.context
        if context is None or not context.trace_flags.sampled:
            return
        if self._minimal:
            if span.status.status_code is StatusCode.ERROR:
                self._console.write(list(_failed_line(span, self._console.colour)))
            return
        with self._lock:
            first = self._first.pop(context.span_id, context.span_id)
            group = self._ended.get(first)
            if group is not None:
                group.append(span)
            if first != context.span_id and group is not None:
                if len(group) > _MAX_GROUP:
                    group.pop(0)
                return
            complete = self._ended.pop(context.span_id, None) or [span]
        self._console.write(list(trace_lines(complete, colour=self._console.colour)))


class ConsoleLogs(LogRecordProcessor):
    """Writes each log record as a line, its stack trace below it."""

    def __init__(self, console: Console, *, minimal: bool = False) -> None:
        self._console = console
        self._from = _WARN if minimal else 0

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        record = log_record.log_record
        severity = record.severity_number.value if record.severity_number is not None else 9
        if severity < self._from or get_value(NO_CONSOLE, record.context):
            return
        self._console.write(list(log_lines(record, severity, colour=self._console.colour)))

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        del timeout_millis
        return True


def trace_lines(spans: Sequence[ReadableSpan], *, colour: bool = False) -> Iterator[str]:
    """The lines of a tree, siblings in the order in which they began."""
    known = {span.context.span_id for span in spans if span.context is not None}
    children: dict[int | None, list[ReadableSpan]] = {}
    for span in sorted(spans, key=lambda one: one.start_time or 0):
        parent = span.parent.span_id if span.parent is not None and span.parent.span_id in known else None
        children.setdefault(parent, []).append(span)
    for root in children.get(None, []):
        yield f"{_paint(_clock(root.start_time), _DIM, colour)} {_span_text(root, colour)}"
        yield from _branches(root, children, " " * 13, colour)


def _branches(
    span: ReadableSpan, children: Mapping[int | None, list[ReadableSpan]], indent: str, colour: bool
) -> Iterator[str]:
    below = children.get(span.context.span_id, []) if span.context is not None else []
    for child in below:
        last = child is below[-1]
        yield f"{_paint(indent + ('└─ ' if last else '├─ '), _DIM, colour)}{_span_text(child, colour)}"
        yield from _branches(child, children, indent + ("   " if last else "│  "), colour)


def _span_text(span: ReadableSpan, colour: bool) -> str:
    attributes: Mapping[str, Any] = span.attributes or {}
    if attributes.get("logfire.span_type") == "log":
        return _one_line(attributes.get("logfire.msg", span.name))
    failed = span.status.status_code is StatusCode.ERROR
    parts = [_paint(_one_line(span.name), _RED if failed else _BOLD, colour), _paint(_lasted(span), _CYAN, colour)]
    for key, form in _SHOWN:
        if attributes.get(key) is not None:
            parts.append(form.format(attributes[key]) + ("+" if failed and key in _AT_LEAST else ""))
    if failed:
        reason = span.status.description or str(attributes.get("error.type", "error"))
        parts.append(_paint(_one_line(reason), _RED, colour))
    return "  ".join(parts)


def _failed_line(span: ReadableSpan, colour: bool) -> Iterator[str]:
    trace = f"{span.context.trace_id:032x}" if span.context is not None else "?"
    yield f"{_clock(span.end_time)} {_paint('ERROR', _RED, colour)} {_span_text(span, colour)}  trace={trace}"


def log_lines(record: Any, severity: int, *, colour: bool = False) -> Iterator[str]:
    """The lines of a log record: level, message, attributes, the trace's id; then the stack trace, if any.

    What a message has after its first line follows below as a stack trace does.
    """
    level = (record.severity_text or "INFO")[:5]
    tone = _RED if severity >= _ERROR else _YELLOW if severity >= _WARN else _CYAN
    attributes: Mapping[str, Any] = record.attributes or {}
    shown = [f"{key}={_one_line(value)}" for key, value in attributes.items() if key not in _HIDDEN_IN_LOGS]
    if record.trace_id:
        shown.append(f"trace={record.trace_id:032x}")
    moment = _clock(record.timestamp or record.observed_timestamp)
    first, *below = str(record.body).rstrip().splitlines() or [""]
    line = f"{_paint(moment, _DIM, colour)} {_paint(level, tone, colour)} {_one_line(first, _MAX_BODY)}"
    yield f"{line}  {_paint(' '.join(shown), _DIM, colour)}" if shown else line
    below += str(attributes.get("exception.stacktrace", "")).rstrip().splitlines()
    yield from (f"    {_one_line(part, _MAX_BODY)}" for part in below)


def _lasted(span: ReadableSpan) -> str:
    if span.start_time is None or span.end_time is None:
        return "open"
    seconds = (span.end_time - span.start_time) / 1e9
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _clock(nanoseconds: int | None) -> str:
    moment = datetime.fromtimestamp((nanoseconds or 0) / 1e9).astimezone()
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def _one_line(value: object, limit: int = _MAX_VALUE) -> str:
    # Escape sequences in a message must not drive the terminal.
    text = "".join(char if char.isprintable() else " " for char in str(value))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _paint(text: str, tone: str, colour: bool) -> str:
    return f"{tone}{text}{_RESET}" if colour and text else text
