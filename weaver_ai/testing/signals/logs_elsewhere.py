"""Where a log went that is not among OpenTelemetry's: Logfire writes spans, Python's logging needs a handler."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from weaver_ai.spans import Span
from weaver_ai.spans.values import show
from weaver_ai.testing.signals.log_patterns import Log
from weaver_ai.testing.signals.patterns import Asked

if TYPE_CHECKING:
    from weaver_ai.testing.capture.recording import Recording

__all__ = ["elsewhere"]

_BRIDGES = ("opentelemetry.", "logfire.")


def elsewhere(recording: Recording, asked: Asked[Log]) -> Iterator[str]:
    """What was written in this test, but not as a log record of OpenTelemetry; a line each."""
    written = [span for span in recording.snapshot() if span.attributes.get("logfire.span_type") == "log"]
    if written:
        meant = next((span for span in written if _fits(asked, _message(span))), written[-1])
        yield (
            f"Logfire wrote {_count(len(written), 'log')} as {'a span' if len(written) == 1 else 'spans'}, "
            f"{show(_message(meant), 48)} among them: ask spans.one({show(meant.name, 48)})"
        )
    records = _unbridged()
    if records:
        meant_record = next((each for each in records if _fits(asked, each.getMessage())), records[-1])
        yield (
            f"Python's logging had {_count(len(records), 'record')}, {show(meant_record.getMessage(), 48)} of "
            f"{meant_record.name!r} among them, and no handler that gives them to OpenTelemetry: add one, or ask caplog"
        )


def _fits(asked: Asked[Log], message: object) -> bool:
    bodies = [condition for condition in asked if condition.label == "body"]
    return bool(bodies) and all(condition.holds(Log(message)) for condition in bodies)


def _message(span: Span) -> object:
    return span.attributes.get("logfire.msg", span.name)


def _unbridged() -> Sequence[logging.LogRecord]:
    """What pytest's own handlers saw in this phase of the test, if no handler hands it on to OpenTelemetry."""
    root = logging.getLogger()
    seen: Sequence[logging.LogRecord] = ()
    for handler in root.handlers:
        records = getattr(handler, "records", None)  # pytest's, which is private
        if type(handler).__module__ == "_pytest.logging" and isinstance(records, list):
            seen = tuple(records)
    return [record for record in seen if not _is_bridged(logging.getLogger(record.name))]


def _is_bridged(logger: logging.Logger | None) -> bool:
    while logger is not None:
        if any(type(handler).__module__.startswith(_BRIDGES) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
