"""What `start_span` costs beside a bare tracer, in the same run: `python benchmarks/telemetry_overhead.py`.

Four blocks, the fastest of several rounds each: OpenTelemetry's `start_as_current_span`, `start_span`
with the same two attributes, `start_span` behind the redaction processor, and `start_span` with
telemetry off. The first two have the same provider and no exporter.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from weaver_ai.settings import load_settings
from weaver_ai.telemetry import runtime, start_span
from weaver_ai.telemetry.metrics import Prometheus
from weaver_ai.telemetry.off_backend import OffTelemetry
from weaver_ai.telemetry.pipeline import Pipeline
from weaver_ai.telemetry.processors import RedactingSpans
from weaver_ai.telemetry.redaction import Redactor
from weaver_ai.telemetry.sdk_telemetry import Providers, SdkTelemetry

SPANS = 2_000
ROUNDS = 9


def microseconds(block: Callable[[], None]) -> float:
    """Per span, in the fastest round."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for _ in range(SPANS):
            block()
        best = min(best, time.perf_counter() - begun)
    return best / SPANS * 1e6


def current(tracer: TracerProvider) -> None:
    meter = MeterProvider(shutdown_on_exit=False)
    providers = Providers(tracer, meter, LoggerProvider(shutdown_on_exit=False), Prometheus())
    pipeline = Pipeline(Redactor(), (), ())
    runtime.make_current(SdkTelemetry("opentelemetry", load_settings(env_file=None), "bench", pipeline, providers))


def main() -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("bench")

    def bare() -> None:
        with tracer.start_as_current_span("work", attributes={"task_id": "t-1", "n": 1}):
            pass

    def ours() -> None:
        with start_span("work", task_id="t-1", n=1):
            pass

    current(provider)
    rows = [("tracer.start_as_current_span", microseconds(bare)), ("start_span", microseconds(ours))]
    redacting = TracerProvider(shutdown_on_exit=False)
    redacting.add_span_processor(RedactingSpans(Redactor(["some-known-secret"])))
    current(redacting)
    rows.append(("start_span, redacted", microseconds(ours)))
    runtime.make_current(OffTelemetry())
    rows.append(("start_span, telemetry off", microseconds(ours)))
    for name, each in rows:
        print(f"{name:30} {each:8.2f} us/span   x{each / rows[0][1]:.2f}")


if __name__ == "__main__":
    main()
