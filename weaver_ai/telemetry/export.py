"""Batches to an exporter, with a bounded queue and honest counts.

A dead, slow or raising exporter costs the queue and a counter. It is said once in the log when an
export starts to fail and once when it works again, not once per batch.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from weaver_ai.telemetry.api import ExporterHealth
from weaver_ai.telemetry.redaction import Redactor

__all__ = ["CountedLogs", "CountedSpans", "ExportCounts", "combined_health", "count_losses"]

_log = logging.getLogger("weaver_ai.telemetry")
_FULL_QUEUE_SECONDS: Final = 60.0
_NO_REASON: Final = "the exporter could not deliver"
_LONGEST_CAUSE: Final = 300
_FULL_QUEUE: Final = "the queue was full: telemetry is dropped"
_Item_contra = TypeVar("_Item_contra", contravariant=True)
_Result_co = TypeVar("_Result_co", covariant=True)


@dataclass
class ExportCounts:
    """What became of the items given to one exporter."""

    signal: str
    redactor: Redactor
    exported: int = 0
    failed: int = 0
    dropped: int = 0
    reason: str | None = None
    dropped_at: float | None = None
    latency: float | None = None
    _lock: Any = field(default_factory=threading.RLock, repr=False)

    def succeeded(self, items: int, seconds: float) -> None:
        with self._lock:
            self.exported += items
            self.latency = seconds
            recovered, self.reason = self.reason is not None, None
        if recovered:
            _log.warning("export of %s works again", self.signal)

    def fail(self, items: int, reason: str, said: str | None = None) -> None:
        """Count them; `said` is for the log alone, for /health tells strangers the reason, and it has hosts in it."""
        reason = self.redactor.text(reason)
        with self._lock:
            self.failed += items
            first, self.reason = self.reason is None, reason
        if first:
            cause = reason if said is None else self.redactor.text(said)[:_LONGEST_CAUSE]
            _log.warning("export of %s fails: %s; requests go on, telemetry is lost", self.signal, cause)

    def drop(self) -> None:
        with self._lock:
            self.dropped += 1
            self.dropped_at = time.monotonic()

    @property
    def trouble(self) -> str | None:
        """What is wrong now; a queue that was full counts for a minute."""
        if self.reason is None and self.dropped_at is not None:
            return _FULL_QUEUE if time.monotonic() - self.dropped_at < _FULL_QUEUE_SECONDS else None
        return self.reason


class _Exporter(Protocol[_Item_contra, _Result_co]):
    def export(self, batch: Sequence[_Item_contra], /) -> _Result_co: ...
    def shutdown(self) -> None: ...
    def force_flush(self, timeout_millis: int = 30000) -> bool: ...


class _Heard(logging.Handler):
    """What an exporter of OpenTelemetry's says in its log while it exports; it returns only that it failed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._here = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        lines: list[str] | None = getattr(self._here, "lines", None)
        if lines is not None:
            lines.append(record.getMessage())

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        self._here.lines = lines = list[str]()
        try:
            yield lines
        finally:
            self._here.lines = None


_heard: Final = _Heard()


class _Outlet(Generic[_Item_contra, _Result_co]):
    """Hands batches to an exporter and counts what became of them."""

    success: _Result_co
    failure: _Result_co

    def __init__(self, exporter: _Exporter[_Item_contra, _Result_co], counts: ExportCounts) -> None:
        self._exporter = exporter
        self._counts = counts
        logging.getLogger("opentelemetry.exporter").addHandler(_heard)

    def export(self, batch: Sequence[_Item_contra]) -> _Result_co:
        began = time.perf_counter()
        try:
            with _heard.listening() as lines:
                result = self._exporter.export(batch)
        except Exception as error:  # noqa: BLE001 - any exporter may raise anything; that costs a counter
            self._counts.fail(len(batch), f"{type(error).__name__}: {error}")
            return self.failure
        if result is self.success:
            self._counts.succeeded(len(batch), time.perf_counter() - began)
        else:
            # Of what it said the first has the cause: after it come its retries.
            self._counts.fail(len(batch), _NO_REASON, lines[0] if lines else None)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _SpanOutlet(_Outlet[ReadableSpan, SpanExportResult], SpanExporter):
    success, failure = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


class _LogOutlet(_Outlet[ReadableLogRecord, LogRecordExportResult], LogRecordExporter):
    success, failure = LogRecordExportResult.SUCCESS, LogRecordExportResult.FAILURE


class _Queue(deque[Any]):
    """A bounded queue that counts what it loses. One that is asked before whether it is full counts too much."""

    def __init__(self, counts: ExportCounts, size: int) -> None:
        super().__init__(maxlen=size)
        self._counts = counts
        self._lock = threading.RLock()  # a finalizer or a signal handler may come in between

    def lose(self) -> None:
        self._counts.drop()

    def appendleft(self, item: Any, /) -> None:
        with self._lock:
            if len(self) == self.maxlen:
                self.lose()
            super().appendleft(item)

    def pop(self) -> Any:  # type: ignore[override] # a queue's has no index
        with self._lock:
            return super().pop()


def count_losses(processor: Any, counts: ExportCounts) -> None:
    """Have what the SDK's `BatchProcessor` drops counted; nothing may have been given to it yet."""
    processor._queue = _Queue(counts, processor._max_queue_size)


class _Counted:
    """One of the SDK's batch processors with a queue that counts; they have no public count."""

    counts: ExportCounts
    _batch_processor: Any

    def _count(self) -> None:
        count_losses(self._batch_processor, self.counts)

    @property
    def queued(self) -> int:
        waiting: int = len(self._batch_processor._queue)
        return waiting


class CountedSpans(_Counted, BatchSpanProcessor):
    """The SDK's batch processor (and its OTEL_BSP_* variables), counting what it drops."""

    def __init__(
        self, exporter: SpanExporter, redactor: Redactor, *, queue_size: int | None = None, delay: float | None = None
    ) -> None:
        self.counts = ExportCounts("traces", redactor)
        super().__init__(
            _SpanOutlet(exporter, self.counts),
            max_queue_size=queue_size,
            schedule_delay_millis=delay,
            max_export_batch_size=None if queue_size is None else min(queue_size, 512),
        )
        self._count()


class CountedLogs(_Counted, BatchLogRecordProcessor):
    """As `CountedSpans`, for log records."""

    def __init__(
        self,
        exporter: LogRecordExporter,
        redactor: Redactor,
        *,
        queue_size: int | None = None,
        delay: float | None = None,
    ) -> None:
        self.counts = ExportCounts("logs", redactor)
        super().__init__(
            _LogOutlet(exporter, self.counts),
            max_queue_size=queue_size,
            schedule_delay_millis=delay,
            max_export_batch_size=None if queue_size is None else min(queue_size, 512),
        )
        self._count()


def combined_health(batches: Sequence[CountedSpans | CountedLogs]) -> ExporterHealth:
    """One statement about all the exporters of a process."""
    if not batches:
        return ExporterHealth("off")
    counts = [batch.counts for batch in batches]
    troubles = [trouble for count in counts if (trouble := count.trouble) is not None]
    return ExporterHealth(
        state="degraded" if troubles else "ok",
        queued=sum(batch.queued for batch in batches),
        exported=sum(count.exported for count in counts),
        dropped=sum(count.dropped for count in counts),
        failed=sum(count.failed for count in counts),
        reason=next(iter(troubles), None),
        latency=max((count.latency for count in counts if count.latency is not None), default=None),
    )
