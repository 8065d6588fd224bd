"""What makes asking after each span cheap: what has ended is read once, and what is open again."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.propagate import extract, inject
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from weaver_ai.testing import Spans
from weaver_ai.testing.capture.capture import Capture
from weaver_ai.testing.capture.recording import Recording

tracer = TracerProvider(shutdown_on_exit=False).get_tracer("x")


@pytest.fixture
def recording() -> Iterator[Recording]:
    capture = Capture()
    capture.start()
    try:
        yield capture.record("test_it", every_span=True)
    finally:
        capture.end()
        capture.stop()


def test_an_ended_span_is_the_same_object_in_each_snapshot(recording: Recording) -> None:
    with tracer.start_as_current_span("root") as root:
        tracer.start_span("a").end()
        first = recording.snapshot()
        root.set_attribute("order", 7)
        tracer.start_span("b").end()
        second = recording.snapshot()
    third = recording.snapshot()
    assert [[span.name for span in each] for each in (first, second, third)] == [
        ["root", "a"],
        *[["root", "a", "b"]] * 2,
    ]
    assert first[1] is second[1] is third[1]
    assert second[2] is third[2]
    assert [(each[0].is_open, dict(each[0].attributes)) for each in (first, second, third)] == [
        (True, {}),
        (True, {"order": 7}),
        (False, {"order": 7}),
    ]


def test_sequences_leave_room_for_the_marks_of_scopes(recording: Recording) -> None:
    spans = Spans(recording)
    tracer.start_span("before").end()
    with spans.scope() as act:
        tracer.start_span("inside").end()
        assert act.one().name == "inside"
        tracer.start_span("late").end()
    tracer.start_span("after").end()
    assert [span.name for span in act] == ["inside", "late"]
    assert [span.sequence for span in spans] == [0, 2, 3, 5]


def test_each_view_shows_what_there_was(recording: Recording) -> None:
    """The forests share what they know; a later one changes nothing of an earlier one."""
    spans = Spans(recording)
    views = []
    with tracer.start_as_current_span("root"):
        for number in range(40):
            tracer.start_span(f"span {number % 3}", attributes={"number": number}).end()
            views.append(spans.one("span *", {"number": number}))
    assert [view.parent.children.count() for view in views if view.parent] == [*range(1, 41)]
    assert [view.trace.count("span 0") for view in views] == [number // 3 + 1 for number in range(40)]
    assert all(view.parent is not None and view.parent.is_open for view in views)
    assert spans.one("root").end is not None


def test_spans_whose_ids_come_again_are_spans_of_their_own(recording: Recording) -> None:
    """Who seeds `random` for each example of a test, as Hypothesis does, gets the same ids for each."""
    spans = Spans(recording)
    state = random.getstate()
    try:
        for number in range(3):
            random.seed(7)
            with tracer.start_as_current_span("POST /orders", attributes={"number": number}) as root:
                tracer.start_span("charge", attributes={"number": number}).end()
                carrier: dict[str, str] = {}
                inject(carrier)
            tracer.start_span("ledger", extract(carrier), attributes={"number": number}).end()
            random.seed(9)
            tracer.start_span("audit", trace.set_span_in_context(root), attributes={"number": number}).end()
            random.seed(9)
            tracer.start_span("audit again", trace.set_span_in_context(root), attributes={"number": number}).end()
            assert spans.count("charge") == number + 1
    finally:
        random.setstate(state)
    assert len({(span.trace_id, span.span_id) for span in spans}) == spans.count() == 15
    for number, run in enumerate(spans.all("POST /orders")):
        assert run.attributes["number"] == number
        assert [child.name for child in run.children] == ["charge", "ledger", "audit", "audit again"]
        assert run.trace.count(attributes={"number": number}) == run.trace.count() == 5


class Masking(SimpleSpanProcessor):
    """Hands on another span than it was given."""

    def on_end(self, span: ReadableSpan) -> None:
        attributes = {**(span.attributes or {}), "masked": True}
        times = {"start_time": span.start_time, "end_time": span.end_time}
        super().on_end(ReadableSpan(span.name, span.context, attributes=attributes, resource=span.resource, **times))


def test_versions_of_spans_whose_ids_come_again(recording: Recording) -> None:
    """Each shows what the processors made of it, and none what they made of its namesake."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.add_span_processor(Masking(exporter))
    own, state = provider.get_tracer("own"), random.getstate()
    try:
        for number in range(3):
            random.seed(7)
            own.start_span("login", start_time=number, attributes={"number": number}).end()
    finally:
        random.setstate(state)
    assert [dict(span.attributes) for span in Spans(recording)] == [
        {"number": number, "masked": True} for number in range(3)
    ]
