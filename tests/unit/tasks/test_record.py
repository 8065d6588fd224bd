from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from weaver_ai.errors import Draining, InvalidInput, ProviderTimeout, RunCancelled
from weaver_ai.tasks import TaskError, TaskRecord, TaskRequest
from weaver_ai.tasks.record import state_of
from weaver_ai.tasks.retry import Retry

RECORD = TaskRecord(
    id="t1",
    capability="work",
    input={"a": [1, 2.5, None, True, "ü"]},
    priority="low",
    metadata={"k": [1]},
    idempotency_key="key",
    state="failed",
    error=TaskError(code="run-failed", message="no", hint="yes", retry_after=1.5),
    attempts=2,
    usage={"requests": 3},
    cost=0.125,
    trace_id="0" * 31 + "1",
    traceparent="00-" + "0" * 31 + "1-0000000000000001-01",
    created_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    started_at=datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC),
    finished_at=datetime(2026, 1, 2, 3, 4, 7, tzinfo=UTC),
    not_before=datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC),
    deadline=datetime(2026, 1, 2, 3, 5, tzinfo=UTC),
    retry=Retry(retries=2, pause_seconds=0.5, longest_pause_seconds=8.0, on=("run-failed",)),
    retried=1,
    last_error=TaskError(code="provider-timeout", message="slow"),
)
LATER = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "record",
    [RECORD, TaskRecord(id="t2", capability="c", input=None, created_at=datetime(2026, 1, 1, tzinfo=UTC))],
    ids=["full", "fresh"],
)
def test_a_record_survives_json(record: TaskRecord) -> None:
    assert TaskRecord.from_json(record.to_json()) == record


def test_a_record_reads_in_json_as_it_does_in_the_documentation() -> None:
    assert TaskRecord(id="t", capability="c", input="x", created_at=datetime(2026, 1, 1, tzinfo=UTC)).to_json() == (
        b'{"id":"t","capability":"c","input":"x","created_at":"2026-01-01T00:00:00Z","priority":"normal",'
        b'"metadata":{},"idempotency_key":null,"state":"queued","result":null,"error":null,"attempts":0,'
        b'"usage":null,"cost":null,"trace_id":null,"traceparent":null,"tracestate":null,"started_at":null,"finished_at":null,'
        b'"not_before":null,"deadline":null,"retry":null,"retried":0,"next_attempt_at":null,"last_error":null}'
    )


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^not a task record: 4 fields don't fit$"):
        TaskRecord.from_json('{"id": "t", "state": "asleep"}')


def test_a_change_makes_another_record() -> None:
    changed = RECORD.but(state="succeeded", error=None)
    assert (RECORD.state, changed.state, changed.error, changed.id) == ("failed", "succeeded", None, "t1")
    assert RECORD.finished


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (None, "succeeded"),
        (TaskError.of(RunCancelled("x")), "cancelled"),
        (TaskError.of(Draining("x")), "cancelled"),
        (TaskError.of(ProviderTimeout("x", retry_after=2.0)), "failed"),
    ],
)
def test_the_state_follows_from_the_error(error: TaskError | None, state: str) -> None:
    assert state_of(error) == state


def test_a_fingerprint_is_of_the_body_alone() -> None:
    request = TaskRequest(capability="c", input={"b": 1, "a": [{"y": 1, "x": 2}]}, metadata={"m": 1})
    same = TaskRequest(
        capability="c", input={"a": [{"x": 2, "y": 1}], "b": 1}, metadata={"m": 1}, idempotency_key="k", traceparent="t"
    )
    assert request.fingerprint() == same.fingerprint()
    elsewhere = LATER.astimezone(timezone(timedelta(hours=2)))
    assert replace(request, deadline=LATER).fingerprint() == replace(request, deadline=elsewhere).fingerprint()
    others = [
        replace(request, capability="d"),
        replace(request, input={"a": [{"x": 2, "y": 1}], "b": 2}),
        replace(request, input={"a": [{"x": 2, "y": 1}], "b": "1"}),
        replace(request, priority="high"),
        replace(request, metadata={}),
        replace(request, delay_seconds=0.0),
        replace(request, delay_seconds=60.0),
        replace(request, not_before=LATER),
        replace(request, deadline=LATER),
        replace(request, deadline_seconds=60.0),
        replace(request, retries=0),
    ]
    assert len({request.fingerprint(), *(other.fingerprint() for other in others)}) == len(others) + 1
