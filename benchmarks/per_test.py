"""What capturing costs a test, over the same test that captures nothing.

    python benchmarks/per_test.py [tests] [rounds]

Every test emits one span on one provider and reads it back. Each way of capturing runs in a session of
its own; the time is the CPU's, from the end of the tenth test to the end of the last.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from table import publish

HEAD = """
import time
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
"""
LOOP = """
import time

SEEN = []

def pytest_runtest_logfinish():
    SEEN.append(time.process_time())

def pytest_unconfigure():
    print(f"LOOP {(SEEN[-1] - SEEN[9]) / (len(SEEN) - 10)}")
"""
WAYS = {
    "nothing captured": (
        "trace.set_tracer_provider(TracerProvider())\nTRACER = trace.get_tracer('x')",
        "def test_it(number):\n    TRACER.start_span('one').end()",
        [],
    ),
    "weaver-ai: spans": (
        "trace.set_tracer_provider(TracerProvider())\nTRACER = trace.get_tracer('x')",
        "def test_it(spans, number):\n    TRACER.start_span('one').end()\n    spans.one('one')",
        ["-p", "weaver_ai.pytest_plugin"],
    ),
    "SimpleSpanProcessor + InMemorySpanExporter": (
        (
            "PROVIDER = TracerProvider()\nEXPORTER = InMemorySpanExporter()\n"
            "PROVIDER.add_span_processor(SimpleSpanProcessor(EXPORTER))\ntrace.set_tracer_provider(PROVIDER)\n"
            "TRACER = trace.get_tracer('x')\n"
            "@pytest.fixture\ndef exporter():\n    EXPORTER.clear()\n    return EXPORTER"
        ),
        (
            "def test_it(exporter, number):\n    TRACER.start_span('one').end()\n"
            "    (span,) = exporter.get_finished_spans()\n    assert span.name == 'one'"
        ),
        [],
    ),
    "logfire.testing: capfire": (
        "TRACER = trace.get_tracer('x')",
        (
            "def test_it(capfire, number):\n    TRACER.start_span('one').end()\n"
            "    (span,) = [s for s in capfire.exporter.exported_spans_as_dict()]\n    assert span['name'] == 'one'"
        ),
        ["-p", "logfire.testing"],
    ),
}


def measure(way: str, tests: int, where: Path) -> float:
    """Milliseconds a test."""
    setup, test, options = WAYS[way]
    (where / "conftest.py").write_text(LOOP, encoding="utf-8")
    (where / "test_many.py").write_text(
        f"{HEAD}\n{setup}\n\n@pytest.mark.parametrize('number', range({tests}))\n{test}\n", encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-W", "ignore", *options],
        cwd=where,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [line for line in done.stdout.splitlines() if "LOOP " in line]
    return float(line.split("LOOP ")[1]) * 1e3


def main() -> None:
    tests = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 9
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(rounds):
            for way in WAYS:
                taken[way].append(measure(way, tests, Path(directory)))
    usual = {way: median(times) for way, times in taken.items()}  # the least of capfire's is half of its usual
    base = usual["nothing captured"]
    ours = usual["weaver-ai: spans"] - base
    rows = [
        [way, f"{time:.3f} ms", f"{time - base:.3f} ms", f"{(time - base) / ours:.1f}" if time != base else "-"]
        for way, time in usual.items()
    ]
    ratio = (usual["logfire.testing: capfire"] - base) / ours
    publish(
        "per_test",
        "Cost a test",
        ["what captures", "a test", "over nothing", "times ours"],
        rows,
        packages=["pytest", "weaver-ai", "logfire", "opentelemetry-sdk"],
        verdict=f"Expected: at most a twentieth of capfire; {'holds' if ratio >= 20 else 'does NOT hold'} "
        f"(1/{ratio:.0f}, {tests} tests, median of {rounds}).",
    )


if __name__ == "__main__":
    main()
