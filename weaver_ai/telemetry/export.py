"""Batches to an exporter, with a bounded queue and honest counts.

A dead, slow or raising exporter costs the queue and a counter. It is said once in the log when an
export starts to fail and once when it works again, not once per batch.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from opentelemetry.sdk._logs import ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from weaver_ai.telemetry.api import ExporterHealth
from weaver_ai.telemetry.redaction import Redactor

__all__ = ["CountedLogs", "CountedSpans", "ExportCounts", "combined_health", "within"]

_log = logging.getLogger("weaver_ai.telemetry")
_FULL_QUEUE_SECONDS = 60.0
_FULL_QUEUE = "the queue was full: telemetry is dropped"


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
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def succeeded(self, items: int, seconds: float) -> None:
        with self._lock:
            self.exported += items
            self.latency = seconds
            recovered, self.reason = self.reason is not None, None
        if recovered:
            _log.warning("export of %s works again", self.signal)

    def fail(self, items: int, reason: str) -> None:
        reason = self.redactor.text(reason)
        with self._lock:
            self.failed += items
            first, self.reason = self.reason is None, reason
        if first:
            _log.warning("export of %s fails: %s; requests go on, telemetry is lost", self.signal, reason)

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


class _SpanOutlet(SpanExporter):
    def __init__(self, exporter: SpanExporter, counts: ExportCounts) -> None:
        self._exporter = exporter
        self._counts = counts

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        began = time.perf_counter()
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - any exporter may raise anything; that costs a counter
            self._counts.fail(len(spans), f"{type(error).__name__}: {error}")
            return SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self._counts.succeeded(len(spans), time.perf_counter() - began)
        else:
            self._counts.fail(len(spans), "the exporter could not deliver")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _LogOutlet(LogRecordExporter):
    def __init__(self, exporter: LogRecordExporter, counts: ExportCounts) -> None:
        self._exporter = exporter
        self._counts = counts

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        began = time.perf_counter()
        try:
            result = self._exporter.export(batch)
        except Exception as error:  # noqa: BLE001 - any exporter may raise anything; that costs a counter
            self._counts.fail(len(batch), f"{type(error).__name__}: {error}")
            return LogRecordExportResult.FAILURE
        if result is LogRecordExportResult.SUCCESS:
            self._counts.succeeded(len(batch), time.perf_counter() - began)
        else:
            self._counts.fail(len(batch), "the exporter could not deliver")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call] # the SDK's

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class CountedSpans(BatchSpanProcessor):
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

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled and self.is_full:
            self.counts.drop()
        super().on_end(span)

    @property
    def queued(self) -> int:
        return len(self._batch_processor._queue)  # the SDK has no public count

    @property
    def is_full(self) -> bool:
        return self.queued >= self._batch_processor._max_queue_size


class CountedLogs(BatchLogRecordProcessor):
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

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        if self.is_full:
            self.counts.drop()
        super().on_emit(log_record)

    @property
    def queued(self) -> int:
        return len(self._batch_processor._queue)  # the SDK has no public count

    @property
    def is_full(self) -> bool:
        return self.queued >= self._batch_processor._max_queue_size


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


def within(seconds: float, *steps: Callable[[], object]) -> bool:
    """Run `steps` side by side; True if every one returned, and not False, within `seconds` in all.

    The SDK's flush ignores its timeout (open-telemetry/opentelemetry-python#4568), so each step runs
    in a daemon thread that is left behind when it takes too long.
    """
    done: list[bool] = []

    def run(step: Callable[[], object]) -> None:
        try:
            done.append(step() is not False)
        except Exception as error:  # noqa: BLE001 - a raising exporter must not stop a shutdown
            _log.debug("telemetry could not be flushed: %s", type(error).__name__)
            done.append(False)

    threads = [threading.Thread(target=run, args=(step,), name="weaver-telemetry", daemon=True) for step in steps]
    deadline = time.monotonic() + seconds
    for thread, step in zip(threads, steps, strict=True):
        try:
            thread.start()
        except RuntimeError:  # no new threads while the interpreter ends; then without the limit
            run(step)
    for thread in threads:
        if thread.ident is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
    return len(done) == len(threads) and all(done)
