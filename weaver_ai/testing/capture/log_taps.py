"""Where log records of every logger provider pass by."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

from opentelemetry import _logs
from opentelemetry._logs import _internal
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk._logs._internal import ConcurrentMultiLogRecordProcessor, SynchronousMultiLogRecordProcessor

from weaver_ai.testing.capture.sink import Sink
from weaver_ai.testing.capture.stand_ins import stand_in
from weaver_ai.testing.capture.why_empty import off
from weaver_ai.testing.patches import Patches

__all__ = ["replace_log_proxies", "tap_logs", "why_no_logs"]


class _Passing(threading.local):
    """The record on its way through this thread's processors; what the innermost was given last."""

    record: ReadWriteLogRecord | None = None


def tap_logs(patches: Patches, current: Callable[[], Sink | None]) -> None:
    """Tell of each record once, when its provider's processors have rewritten it as they will."""
    passing = _Passing()

    def wrap(original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def on_emit(self: LogRecordProcessor, log_record: ReadWriteLogRecord) -> None:
            outermost = passing.record is None
            passing.record = log_record
            try:
                original(self, log_record)
                sink = current() if outermost else None
                if sink is not None:
                    sink.logged(passing.record)
            finally:
                if outermost:
                    passing.record = None

        return on_emit

    processors: tuple[Any, ...] = (SynchronousMultiLogRecordProcessor, ConcurrentMultiLogRecordProcessor)
    for processor in processors:
        patches.replace(processor, "on_emit", wrap)


class StandInLoggerProvider(_internal.ProxyLoggerProvider):
    """The proxy while a test records."""


def replace_log_proxies(patches: Patches) -> None:
    """Let proxy loggers fall back to a working provider for as long as none is set."""
    provider: LoggerProvider = stand_in(LoggerProvider)

    def wrap(original: property) -> property:
        def logger(self: Any) -> _logs.Logger:
            found: _logs.Logger = original.__get__(self)
            if not isinstance(found, _logs.NoOpLogger) or not _unset():
                return found
            return provider.get_logger(self._name, self._version, self._schema_url, self._attributes)

        return property(logger)

    patches.replace(_internal.ProxyLogger, "_logger", wrap)
    patches.replace_class(_internal._PROXY_LOGGER_PROVIDER, StandInLoggerProvider)


def why_no_logs() -> Iterator[str]:
    """What of the global logger provider keeps log records from coming."""
    return off(_logs.get_logger_provider(), LoggerProvider, _internal.ProxyLoggerProvider, "logger", "logger provider")


def _unset() -> bool:
    return isinstance(_logs.get_logger_provider(), _internal.ProxyLoggerProvider)
