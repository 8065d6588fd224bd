"""A question by name and attribute to 1,000, 10,000 and 100,000 spans, against `SpanTree.find` of pydantic-evals;
and one after each of 2,000 spans, against a loop over what the in-memory exporter has.

    uv run benchmarks/query.py [rounds]

pydantic-evals pins one version of pydantic-ai, which isn't always the one that Weaver is locked to; so this
script has an environment of its own instead of a dependency group.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["weaver-ai", "pydantic-evals>=2"]
# [tool.uv.sources]
# weaver-ai = { path = "..", editable = true }
# ///

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic_evals.otel.span_tree import SpanNode, SpanTree
from table import publish

from weaver_ai.spans import Span
from weaver_ai.testing import Spans
from weaver_ai.testing.capture.capture import Capture

SIZES = (1_000, 10_000, 100_000)
NAMES = ("chat gpt-5", "execute_tool refund", "POST /orders", "SELECT orders", "publish order")
EMITTED = 2_000
SPANS_A_TRACE = 20
TRACE_START = 1_700_000_000_000_000_000
PARENT = 4  # a trace is a tree with four children to a span


class Recorded:
    """A source that has ended."""

    version = 0

    def __init__(self, spans: Sequence[Span]) -> None:
        self.next_sequence = len(spans)
        self._spans = spans

    def snapshot(self) -> Sequence[Span]:
        return self._spans

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    def why_empty(self) -> Sequence[str]:
        return ()


def make(count: int) -> list[Span]:
    """Traces of twenty spans; each span belongs to one of `count / 100` orders."""
    spans: list[Span] = []
    for number in range(count):
        trace, place = divmod(number, SPANS_A_TRACE)
        start = TRACE_START + number * 1_000_000
        spans.append(
            Span(
                name=NAMES[number % len(NAMES)],
                trace_id=f"{trace + 1:032x}",
                span_id=f"{number + 1:016x}",
                parent_id=f"{trace * SPANS_A_TRACE + (place - 1) // PARENT + 1:016x}" if place else None,
                start=start,
                end=start + 500_000,
                attributes={"order.id": number % (count // 100), "http.response.status_code": 200, "tenant": "acme"},
                sequence=number,
            )
        )
    return spans


def node(span: Span) -> SpanNode:
    return SpanNode(
        name=span.name,
        trace_id=int(span.trace_id, 16),
        span_id=int(span.span_id, 16),
        parent_span_id=None if span.parent_id is None else int(span.parent_id, 16),
        start_timestamp=datetime.fromtimestamp(span.start / 1e9, tz=UTC),
        end_timestamp=datetime.fromtimestamp((span.end or 0) / 1e9, tz=UTC),
        attributes=dict(span.attributes),  # type: ignore[arg-type] # these attributes are plain
    )


def best(action: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest round."""
    times = []
    for _ in range(rounds):
        gc.collect()
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return min(times)


def measure(count: int, rounds: int) -> dict[str, float]:
    recorded = make(count)
    nodes = [node(span) for span in recorded]
    name, attributes = NAMES[2], {"order.id": 7}
    tree, spans = SpanTree(), Spans(Recorded(recorded))
    tree.add_spans(nodes)
    theirs = tree.find({"name_equals": name, "has_attributes": attributes})
    ours = spans.all(name, attributes)
    assert [f"{found.span_id:016x}" for found in theirs] == [found.span_id for found in ours], "they differ"
    assert ours, "nothing was found"
    return {
        "build": best(lambda: SpanTree().add_spans(nodes), rounds),
        "find": best(lambda: tree.find({"name_equals": name, "has_attributes": attributes}), rounds),
        "first": best(lambda: Spans(Recorded(recorded)).all(name, attributes), rounds),
        "later": best(lambda: spans.all(name, attributes), rounds),
    }


@contextmanager
def captured() -> Iterator[Spans]:
    capture = Capture()
    capture.start()
    try:
        yield Spans(capture.record("benchmark", every_span=True))
    finally:
        capture.end()
        capture.stop()


def ask_ours(name: Callable[[int], str]) -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("x")
    with captured() as spans:
        for number in range(EMITTED):
            tracer.start_span(name(number), attributes={"order": number}).end()
            spans.one(name(number), {"order": number})


def ask_theirs(name: Callable[[int], str]) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("x")
    for number in range(EMITTED):
        tracer.start_span(name(number), attributes={"order": number}).end()
        wanted = name(number)
        found = [
            span
            for span in exporter.get_finished_spans()
            if span.name == wanted and (span.attributes or {}).get("order") == number
        ]
        assert len(found) == 1


def interleaved(rounds: int) -> list[list[str]]:
    """A row for spans of one name, one for as many names as spans; the two ways take turns."""
    rows = []
    for what, name in (("one name", lambda number: "one"), ("2,000 names", lambda number: f"span {number}")):
        ours, theirs = [], []
        for _ in range(rounds):
            for ask, times in ((ask_ours, ours), (ask_theirs, theirs)):
                gc.collect()
                began = time.thread_time()
                ask(name)
                times.append(time.thread_time() - began)
        ratio = statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
        rows.append([what, f"{min(ours):.2f} s", f"{min(theirs):.2f} s", f"{ratio:.2f}"])
    return rows


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    results = {count: measure(count, rounds) for count in SIZES}
    rows = [
        [
            f"{count:,}",
            f"{times['build'] * 1e3:.1f} ms",
            f"{times['find'] * 1e3:.2f} ms",
            f"{times['first'] * 1e3:.1f} ms",
            f"{times['later'] * 1e3:.3f} ms",
            f"{times['find'] / times['later']:.0f}",
            f"{(times['build'] + times['find']) / times['first']:.1f}",
        ]
        for count, times in results.items()
    ]
    after_each = interleaved(rounds)
    holds = all(float(row[-1]) <= 2 for row in after_each)
    ratio = results[SIZES[-1]]["find"] / results[SIZES[-1]]["later"]
    publish(
        "query",
        "A question by name and attribute",
        [
            "spans",
            "SpanTree: build",
            "SpanTree.find",
            "spans.all: first ask, indexes built",
            "spans.all: later asks",
            "ratio of later asks",
            "ratio of build and one ask",
        ],
        rows,
        packages=["weaver-ai", "pydantic-evals"],
        verdict=f"Expected: at least 20 times faster at 100,000 spans; {'holds' if ratio >= 20 else 'does NOT hold'} "
        f"({ratio:.0f} times; best of {rounds}).\n\n"
        f"After each of {EMITTED:,} spans the one that ended, by name and attribute:\n\n"
        "| spans of | spans.one | loop over InMemorySpanExporter | ratio |\n|---|---|---|---|\n"
        + "\n".join(f"| {' | '.join(row)} |" for row in after_each)
        + f"\n\nExpected: at most twice the loop's time; {'holds' if holds else 'does NOT hold'} "
        f"(median of {rounds} rounds).",
    )


if __name__ == "__main__":
    main()
