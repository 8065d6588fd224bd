"""What makes asking after each span cheap: what has ended is read once, and what is open again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider

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
