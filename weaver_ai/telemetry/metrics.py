"""Metrics: the Prometheus text of all of them, GenAI durations from ended spans, the export's own counts."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Histogram, MeterProvider, Observation
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, StatusCode, TraceState

from weaver_ai.telemetry import names
from weaver_ai.telemetry.api import ExporterHealth
from weaver_ai.telemetry.processors import ATTEMPT
from weaver_ai.telemetry.runtime import SCOPE, weaver_version

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["GenAIMetrics", "MeasuringSampler", "Prometheus", "observe_export"]

# Semantic conventions, GenAI client metrics: advised bucket boundaries in seconds.
_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_OPERATION: Final = "gen_ai.operation.name"
_PROVIDER: Final = "gen_ai.provider.name"
_MODEL: Final = "gen_ai.request.model"
_ANSWERED: Final = "gen_ai.response.model"
_CHAT: Final = "chat"
_CHAIN: Final = "fallback:"
_MAX_CHAINS: Final = 10_000
_DURATION_LABELS: Final = (
    _OPERATION,
    _PROVIDER,
    _MODEL,
    _ANSWERED,
    "server.address",
    "server.port",
)
_OTHER_CLIENT: Final = "com.anthropic.sdk.python"  # with or without a platform: a second span for the same operation


class Prometheus:
    """A reader with a registry of its own, and the text it makes."""

    def __init__(self) -> None:
        self.reader: MetricReader | None = None
        self._registry: CollectorRegistry | None = None
        if importlib.util.find_spec("opentelemetry.exporter.prometheus") is not None:
            from opentelemetry.exporter.prometheus import PrometheusMetricReader  # noqa: PLC0415 - optional
            from prometheus_client import CollectorRegistry  # noqa: PLC0415 - optional

            self._registry = CollectorRegistry()
            self.reader = PrometheusMetricReader(registry=self._registry)

    def text(self) -> bytes:
        if self._registry is None:
            return b"# no Prometheus exporter installed: pip install 'weaver-ai[gateway]'\n"
        from prometheus_client import generate_latest  # noqa: PLC0415 - optional

        return generate_latest(self._registry)


class GenAIMetrics(SpanProcessor):
    """`gen_ai.client.operation.duration` of every ended GenAI client span, failed ones with `error.type`.

    pydantic-ai measures tokens and cost itself, but no durations. Of a fallback chain each model that was tried is an
    operation of its own: the failed ones have spans below the chain's, which bears the name of the model that answered.
    pydantic-ai makes no spans for the failed ones of a chain inside of a chain: they are counted only where all of them
    failed, as one operation with the names of all.
    """

    def __init__(self, meter_provider: MeterProvider) -> None:
        meter = meter_provider.get_meter(SCOPE, weaver_version())
        self._duration: Histogram = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="Duration of GenAI client operations.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._failed = _FailedAttempts()

    def on_end(self, span: ReadableSpan) -> None:
        attributes = span.attributes or {}
        if ATTEMPT in attributes:
            self._failed.add(span)
            self._record(span, span.start_time, {_OPERATION: _CHAT, **_labels(attributes)})
            return
        if span.kind is not SpanKind.CLIENT or _OPERATION not in attributes:
            return
        scope = span.instrumentation_scope
        if scope is not None and scope.name.startswith(_OTHER_CLIENT):
            return
        tried, since = self._failed.of(span)
        labels = _labels(attributes)
        if str(chain := labels.get(_MODEL, "")).startswith(_CHAIN):
            if tried >= len(_members(chain)):
                return  # every model of the chain failed, and each has been counted
            _name_member(labels, _place(span, labels, tried))
        self._record(span, since, labels)

    def _record(self, span: ReadableSpan, since: int | None, labels: dict[str, Any]) -> None:
        if span.status.status_code is StatusCode.ERROR:
            labels["error.type"] = _error_type(span)
        self._duration.record(max(0, (span.end_time or 0) - (since or 0)) / 1e9, labels)


class _FailedAttempts:
    """How many models of a chain have failed so far, and when the last one did, by the chain's open span."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a finalizer or a signal handler may come in between
        self._ended: dict[int, tuple[int, int]] = {}

    def add(self, attempt: ReadableSpan) -> None:
        if attempt.parent is None:
            return
        with self._lock:
            tried, last = self._ended.pop(attempt.parent.span_id, (0, 0))
            failed = len(_members((attempt.attributes or {}).get(_MODEL, "")))
            self._ended[attempt.parent.span_id] = (tried + failed, max(last, attempt.end_time or 0))
            if len(self._ended) > _MAX_CHAINS:  # of spans that were never ended
                self._ended.pop(next(iter(self._ended)))

    def of(self, span: ReadableSpan) -> tuple[int, int]:
        """How many have failed below `span`, and since when it has been the next one's operation."""
        began = span.start_time or 0
        if not self._ended or span.context is None:
            return 0, began
        with self._lock:
            tried, last = self._ended.pop(span.context.span_id, (0, began))
        return tried, max(began, last)


def _labels(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: attributes[key] for key in _DURATION_LABELS if key in attributes}


def _members(named: object) -> list[str]:
    """The models, or providers, of a chain, those of chains inside of it among them; what is no chain, itself."""
    return str(named).replace(_CHAIN, "").split(",")


def _place(span: ReadableSpan, labels: Mapping[str, Any], tried: int) -> int | None:
    """Which of the chain's models the operation was at, None where that can't be told.

    A chain inside of it that answers, or breaks off, leaves only its own models' names.
    """
    if (answered := labels.get(_ANSWERED)) is not None:
        named = [(len(member), place) for place, member in enumerate(_members(labels[_MODEL])) if member in answered]
        return max(named)[1] if named else None
    return tried if span.name.endswith(f" {labels[_MODEL]}") else None


def _name_member(labels: dict[str, Any], place: int | None) -> None:
    """Give the labels of a chain the names of one of its models."""
    if place is not None:
        for key in (_PROVIDER, _MODEL):
            members = _members(labels.get(key, ""))
            labels[key] = members[min(place, len(members) - 1)]
    if place != 0:  # the chain's address is its first model's
        labels.pop("server.address", None)
        labels.pop("server.port", None)


def _error_type(span: ReadableSpan) -> str:
    given = (span.attributes or {}).get("error.type")
    if given is not None:
        return str(given)
    for event in reversed(span.events):
        if event.name == "exception" and event.attributes and "exception.type" in event.attributes:
            return str(event.attributes["exception.type"])
    return "rejected" if ATTEMPT in (span.attributes or {}) else "_OTHER"


class MeasuringSampler(Sampler):
    """Samples as `inner` does, but lets dropped GenAI client spans be recorded, so that metrics miss none.

    A recorded and unsampled span reaches processors, never an exporter.
    """

    def __init__(self, inner: Sampler) -> None:
        self.inner = inner

    def should_sample(  # noqa: PLR0917 - the SDK's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Any = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        result = self.inner.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)
        if result.decision is Decision.DROP and _is_measured(kind, attributes or {}):
            return SamplingResult(Decision.RECORD_ONLY, attributes, result.trace_state)
        return result

    def get_description(self) -> str:
        return f"MeasuringSampler{{{self.inner.get_description()}}}"


def _is_measured(kind: SpanKind | None, attributes: Mapping[str, Any]) -> bool:
    return ATTEMPT in attributes or (kind is SpanKind.CLIENT and _OPERATION in attributes)


def observe_export(meter_provider: MeterProvider, health: Callable[[], ExporterHealth]) -> None:
    """Make the export's own counts metrics of `meter_provider`."""
    meter = meter_provider.get_meter(SCOPE, weaver_version())

    def observing(field: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        return lambda _options: [Observation(getattr(health(), field))]

    meter.create_observable_counter(
        names.METRIC_EXPORT_DROPPED, [observing("dropped")], unit="{item}", description="Lost to a full queue."
    )
    meter.create_observable_counter(
        names.METRIC_EXPORT_FAILED, [observing("failed")], unit="{item}", description="Lost to a failing exporter."
    )
    meter.create_observable_up_down_counter(
        names.METRIC_EXPORT_QUEUED, [observing("queued")], unit="{item}", description="Waiting to be exported."
    )
