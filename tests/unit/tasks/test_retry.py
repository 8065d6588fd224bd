"""The pauses between attempts, and what decides about another one: numbers in, numbers out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from weaver_ai.tasks import Retry, TaskError, TaskOutcome, TaskRecord
from weaver_ai.tasks.schedule import Spent, verdict_on

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ERROR = TaskError(code="provider-unavailable", message="status 503", hint="wait")
RECORD = TaskRecord(id="t", capability="c", input=None, created_at=NOW, attempts=1, retry=Retry(retries=2))


@pytest.mark.parametrize(
    ("retried", "chance", "pause"),
    [(0, 0.0, 0.5), (0, 1.0, 1.0), (1, 1.0, 2.0), (2, 1.0, 4.0), (5, 1.0, 32.0), (6, 1.0, 60.0), (19, 0.0, 30.0)],
)
def test_pauses_double_up_to_the_longest_and_are_drawn_from_their_upper_half(
    retried: int, chance: float, pause: float
) -> None:
    assert Retry(retries=20).pause(retried, None, chance) == pause


@pytest.mark.parametrize(
    ("retry_after", "chance", "pause"),
    [(0.1, 1.0, 1.0), (7.0, 0.0, 7.0), (7.0, 1.0, 7.7), (3600.0, 0.0, 3600.0), (3600.5, 0.0, None)],
)
def test_a_provider_s_retry_after_lengthens_the_pause_up_to_an_hour(
    retry_after: float, chance: float, pause: float | None
) -> None:
    found = Retry().pause(0, retry_after, chance)
    assert found == (pause if pause is None else pytest.approx(pause))


@pytest.mark.parametrize(
    ("record", "error", "pause", "hint"),
    [
        (RECORD, ERROR, 1.0, "wait"),
        (RECORD.but(retried=1), ERROR, 2.0, "wait"),
        (RECORD.but(retried=2), ERROR, None, "wait"),
        (RECORD.but(attempts=9), ERROR, 1.0, "wait"),
        (RECORD.but(retry=None), ERROR, None, "wait"),
        (RECORD, replace(ERROR, code="run-failed"), None, "wait"),
        (RECORD.but(deadline=NOW + timedelta(seconds=1.5)), ERROR, 1.0, "wait"),
        (
            RECORD.but(deadline=NOW + timedelta(seconds=1)),
            ERROR,
            None,
            "it wasn't tried again, for the next attempt would have begun after the task's deadline",
        ),
        (
            RECORD,
            replace(ERROR, retry_after=4000.0),
            None,
            "it wasn't tried again, for the provider asks for a pause of more than an hour",
        ),
    ],
)
def test_whether_another_attempt_follows(
    record: TaskRecord, error: TaskError, pause: float | None, hint: str | None
) -> None:
    verdict = verdict_on(record, error, NOW, 1.0)
    assert (verdict.pause, verdict.error) == (pause, replace(error, hint=hint))


def _failed(requests: int, cost: float | None, kept: int = 0, kept_cost: float | None = 0.0) -> TaskOutcome:
    return TaskOutcome(
        error=ERROR, usage={"requests": requests}, cost=cost, kept_usage={"requests": kept}, kept_cost=kept_cost
    )


def test_usage_is_added_up_over_attempts_and_kept_steps_are_counted_once() -> None:
    spent = Spent().and_failed(_failed(3, 0.75, kept=1, kept_cost=0.25))
    assert (spent.usage, spent.cost) == ({"requests": 3}, 0.75)
    spent = spent.and_failed(_failed(2, 0.5, kept=2, kept_cost=0.5))
    assert (spent.usage, spent.cost) == ({"requests": 4}, 1.0)
    last = spent.and_last(TaskOutcome(result="x", usage={"requests": 5, "tool_calls": 1}, cost=1.25))
    assert (last.usage, last.cost, last.result) == ({"requests": 7, "tool_calls": 1}, 1.75, "x")


def test_a_cost_that_isn_t_known_makes_the_sum_unknown_and_no_usage_changes_nothing() -> None:
    spent = Spent().and_failed(_failed(1, None, kept_cost=None))
    assert (spent.usage, spent.cost) == ({"requests": 1}, None)
    assert spent.and_last(TaskOutcome(usage={"requests": 1}, cost=0.5)).cost is None
    assert spent.and_failed(TaskOutcome(error=ERROR)) == spent
    ended = spent.and_last(TaskOutcome(error=ERROR))
    assert (ended.usage, ended.cost) == ({"requests": 1}, None)
