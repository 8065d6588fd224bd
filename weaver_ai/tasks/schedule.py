"""When a task may start, when it has to have ended, and whether a failed attempt is followed by another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from weaver_ai.errors import DeadlineExceeded, InvalidInput
from weaver_ai.tasks.engine import TaskOutcome
from weaver_ai.tasks.payloads import json_value
from weaver_ai.tasks.record import TaskError, TaskRecord, TaskRequest
from weaver_ai.tasks.retry import MAX_RETRIES, Retry, TaskPolicy
from weaver_ai.tasks.tracing import TraceContext, trace_id_of

__all__ = [
    "DEADLINE_EXCEEDED",
    "MAX_DEADLINE_SECONDS",
    "MAX_DELAY_SECONDS",
    "Spent",
    "Times",
    "Verdict",
    "accepted",
    "retry_of",
    "times_of",
    "verdict_on",
]

MAX_DELAY_SECONDS: Final = 30 * 86_400.0
MAX_DEADLINE_SECONDS: Final = 366 * 86_400.0

DEADLINE_EXCEEDED: Final = TaskError.of(DeadlineExceeded("the task's deadline was over before the task had ended"))
_TOO_LATE: Final = "it wasn't tried again, for the next attempt would have begun after the task's deadline"
_TOO_LONG: Final = "it wasn't tried again, for the provider asks for a pause of more than an hour"


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds from a task's acceptance until it may start, 0 when at once, and until it has to have ended."""

    delay: float = 0.0
    deadline: float | None = None


def times_of(request: TaskRequest, now: datetime) -> Times:
    """The request's times from `now` on.

    Raises:
        InvalidInput: they contradict each other, lie in the past or too far ahead, or a date has no time zone.
    """
    delay = _seconds(request.delay_seconds, request.not_before, ("delay_seconds", "not_before"), now)
    deadline = _seconds(request.deadline_seconds, request.deadline, ("deadline_seconds", "deadline"), now)
    if delay is not None and delay > MAX_DELAY_SECONDS:
        raise InvalidInput(
            "a task can't be delayed by more than 30 days", hint="submit it later, from a scheduler of your own"
        )
    if request.delay_seconds is not None and request.delay_seconds < 0:
        raise InvalidInput("delay_seconds can't be negative")
    if deadline is not None and deadline > MAX_DEADLINE_SECONDS:
        raise InvalidInput("a deadline can't be more than a year ahead")
    if deadline is not None and deadline <= 0:
        raise InvalidInput("the deadline is over already")
    if deadline is not None and deadline <= max(0.0, delay or 0.0):
        raise InvalidInput("the deadline is over before the task may start")
    return Times(max(0.0, delay or 0.0), deadline)


def _seconds(seconds: float | None, time: datetime | None, names: tuple[str, str], now: datetime) -> float | None:
    if seconds is not None and time is not None:
        raise InvalidInput(f"{names[0]} and {names[1]} say the same in two ways", hint="send one of them")
    if seconds is not None and not math.isfinite(seconds):
        raise InvalidInput(f"{names[0]} must be a finite number")
    if time is None:
        return seconds
    if time.tzinfo is None:
        raise InvalidInput(f"{names[1]} has no time zone", hint="for instance 2026-11-23T18:00:00Z")
    return (time - now).total_seconds()


def accepted(
    task_id: str,
    request: TaskRequest,
    now: datetime,
    *,
    times: Times,
    retry: Retry | None,
    trace: TraceContext,
) -> TaskRecord:
    """The record of a task that is accepted now."""
    start = now + timedelta(seconds=times.delay) if times.delay > 0 else None
    return TaskRecord(
        id=task_id,
        capability=request.capability,
        input=json_value(request.input),
        priority=request.priority,
        metadata={key: json_value(value) for key, value in request.metadata.items()},
        idempotency_key=request.idempotency_key,
        created_at=now,
        traceparent=trace.traceparent,
        tracestate=trace.tracestate,
        trace_id=trace_id_of(trace.traceparent),
        state="queued" if start is None else "scheduled",
        not_before=start,
        next_attempt_at=start,
        deadline=None if times.deadline is None else now + timedelta(seconds=times.deadline),
        retry=retry,
    )


def retry_of(request: TaskRequest, policy: TaskPolicy) -> Retry | None:
    """How failed attempts of the request's task are followed by others; None when they aren't.

    Raises:
        InvalidInput: the request asks for more retries than there may be.
    """
    retry = policy.retry
    if request.retries is not None:
        if not 0 <= request.retries <= MAX_RETRIES:
            raise InvalidInput(f"retries must be a number from 0 to {MAX_RETRIES}")
        retry = replace(retry, retries=request.retries)
    return retry if retry.retries else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a failed attempt: another after `pause` seconds, or, with None, the end with `error`."""

    pause: float | None
    error: TaskError


def verdict_on(record: TaskRecord, error: TaskError, now: datetime, chance: float) -> Verdict:
    """Whether another attempt follows the one that ended with `error`; `chance`, from 0 to 1, spreads the pauses."""
    retry = record.retry
    if retry is None or error.code not in retry.on or record.retried >= retry.retries:
        return Verdict(None, error)
    pause = retry.pause(record.retried, error.retry_after, chance)
    if pause is None:
        return Verdict(None, replace(error, hint=_TOO_LONG))
    if record.deadline is not None and now + timedelta(seconds=pause) >= record.deadline:
        return Verdict(None, replace(error, hint=_TOO_LATE))
    return Verdict(pause, error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What the failed attempts of a task used, as its record shows it while it waits for another.

    Attributes:
        carried_usage: of it, what no later attempt counts again: that of steps which are kept is counted by the
            attempt that replays them.
    """

    usage: Mapping[str, int] | None = None
    cost: float | None = None
    carried_usage: Mapping[str, int] | None = None
    carried_cost: float | None = None

    def and_last(self, outcome: TaskOutcome) -> TaskOutcome:
        """The outcome of the task's last attempt, with what all of them used."""
        if self.carried_usage is None and self.carried_cost is None:
            return outcome
        if outcome.usage is None and outcome.cost is None:  # it came to nothing: what was shown stays true
            return replace(outcome, usage=self.usage, cost=self.cost)
        return replace(
            outcome, usage=_added(self.carried_usage, outcome.usage), cost=_summed(self.carried_cost, outcome.cost)
        )

    def and_failed(self, outcome: TaskOutcome) -> Spent:
        """With an attempt more that failed and is followed by another."""
        if outcome.usage is None and outcome.cost is None:
            return self
        total = self.and_last(outcome)
        kept = {name: -number for name, number in (outcome.kept_usage or {}).items()}
        first = self.carried_usage is None and self.carried_cost is None
        own = _added(outcome.usage, kept)
        own_cost = _summed(outcome.cost, None if outcome.kept_cost is None else -outcome.kept_cost)
        return Spent(
            usage=total.usage,
            cost=total.cost,
            carried_usage=own if first else _added(self.carried_usage, own),
            carried_cost=own_cost if first else _summed(self.carried_cost, own_cost),
        )

    def and_all(self, whole: TaskOutcome, *, steps_stay: bool) -> Spent:
        """With the attempt that ended the task, for one that is put back all the same.

        Args:
            whole: the task's outcome, which has what all of its attempts used.
            steps_stay: whether the steps that are kept will be replayed.
        """
        if whole.usage is None and whole.cost is None:
            return self if steps_stay else replace(self, carried_usage=self.usage, carried_cost=self.cost)
        kept = {name: -number for name, number in (whole.kept_usage or {}).items()} if steps_stay else {}
        kept_cost = whole.kept_cost if steps_stay else 0.0
        return Spent(
            usage=whole.usage,
            cost=whole.cost,
            carried_usage=_added(whole.usage, kept),
            carried_cost=_summed(whole.cost, None if kept_cost is None else -kept_cost),
        )


def _added(one: Mapping[str, int] | None, other: Mapping[str, int] | None) -> Mapping[str, int] | None:
    if one is None or other is None:
        return one or other
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


def _summed(one: float | None, other: float | None) -> float | None:
    """A sum of which one part isn't known isn't known."""
    return None if one is None or other is None else one + other
