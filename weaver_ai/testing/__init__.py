"""What a test asks a trace.

The fixtures `spans`, `logs` and `metrics` (a `Spans`, a `Logs`, a `Metrics`) have the verbs; what is here says which
spans, logs and series are meant, and names the types, also those of `invariants`, `otlp` and `weaver_cluster`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from weaver_ai.spans.query import SpanPattern
from weaver_ai.spans.values import absent, contains
from weaver_ai.testing.asserting.expect import Selection, SpanView, Trace
from weaver_ai.testing.asserting.explain import ExpectationFailed
from weaver_ai.testing.asserting.match import any_order, at_least, at_most, event, span, times, tree
from weaver_ai.testing.signals.log_patterns import Log, LogPattern, log
from weaver_ai.testing.signals.metric_patterns import Metric, MetricPattern, metric
from weaver_ai.testing.spans import Spans

if TYPE_CHECKING:
    from weaver_ai.testing.invariants import Invariants
    from weaver_ai.testing.otlp import Otlp
    from weaver_ai.testing.processes.cluster import Cluster
    from weaver_ai.testing.signals.logs import Logs
    from weaver_ai.testing.signals.metrics import Metrics

__all__ = [
    "Cluster",
    "ExpectationFailed",
    "Invariants",
    "Log",
    "LogPattern",
    "Logs",
    "Metric",
    "MetricPattern",
    "Metrics",
    "Otlp",
    "Selection",
    "SpanPattern",
    "SpanView",
    "Spans",
    "Trace",
    "absent",
    "any_order",
    "at_least",
    "at_most",
    "contains",
    "event",
    "log",
    "metric",
    "span",
    "times",
    "tree",
]

_LOADED_WHEN_USED: Final = {  # they come with the SDK, or with what stands behind them
    "Cluster": "weaver_ai.testing.processes.cluster",
    "Invariants": "weaver_ai.testing.invariants",
    "Logs": "weaver_ai.testing.signals.logs",
    "Metrics": "weaver_ai.testing.signals.metrics",
    "Otlp": "weaver_ai.testing.otlp",
}


def __getattr__(name: str) -> object:
    if name in _LOADED_WHEN_USED:
        return getattr(import_module(_LOADED_WHEN_USED[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
