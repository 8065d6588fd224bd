"""What every engine promises of time and number: delay, retries with back-off, deadlines, limits of capabilities."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.contract.engine_factories import EngineFactory
from tests.contract.engine_work import PATIENCE, all_events, finished, types, wanted
from tests.fixtures.recorded_spans import Recorded
from weaver_ai.errors import IdempotencyConflict, InvalidInput, ProviderRateLimited, ProviderUnavailable, QueueFull
from weaver_ai.tasks import Engine, Retry, TaskContext, TaskError, TaskOutcome, TaskPolicy, TaskRecord

pytest_plugins = ["tests.fixtures.recorded", "tests.fixtures.redis_server"]

AT_ONCE = Retry(retries=3, pause_seconds=0.001, longest_pause_seconds=0.001)
LATE = TaskError(code="deadline-exceeded", message="the task's deadline was over before the task had ended")


class Flaky:
    """A handler that fails as often as it is told to, with what it is told to, and succeeds then."""

    def __init__(self, *failures: Exception | TaskOutcome) -> None:
        self.failures = list(failures)
        self.started: list[datetime] = []
        self.seen: list[TaskRecord] = []
        self.capabilities: list[str] = []

    async def __call__(self, context: TaskContext) -> TaskOutcome:
        self.started.append(datetime.now(UTC))
        self.seen.append(context.record)
        if not self.failures:
            return TaskOutcome(result="done", usage={"requests": 1}, cost=0.25)
        failure = self.failures.pop(0)
        if isinstance(failure, Exception):
            raise failure
        return failure


class Held:
    """A handler that holds every task until it is let go, and counts how many of each capability it holds."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.order: list[object] = []
        self.entered = asyncio.Semaphore(0)

    async def __call__(self, context: TaskContext) -> TaskOutcome:
        name = context.record.capability
        self.order.append(context.record.input)
        self.running[name] += 1
        self.most[name] = max(self.most[name], self.running[name])
        self.entered.release()
        try:
            await self.go.wait()
        finally:
            self.running[name] -= 1
        return TaskOutcome(result=name)

    async def enter(self, number: int) -> None:
        async with asyncio.timeout(PATIENCE):
            for _ in range(number):
                await self.entered.acquire()


def retried(policy: Retry = AT_ONCE) -> dict[str, TaskPolicy]:
    return {"work": TaskPolicy(retry=policy)}


def unavailable() -> ProviderUnavailable:
    return ProviderUnavailable("openai is unavailable: status 503")


# Delay


async def test_a_delayed_task_is_scheduled_and_runs_when_it_is_due(make_engine: EngineFactory) -> None:
    work = Flaky()
    async with make_engine(work) as engine:
        task = await engine.submit(wanted("x", delay_seconds=1.0))
        health = await engine.health()
        early = await engine.status(task.id)
        done = await finished(engine, task.id)
        told = await all_events(engine, task.id)
    assert (task.state, early.state, early.attempts) == ("scheduled", "scheduled", 0)
    assert task.not_before == early.next_attempt_at == early.created_at + timedelta(seconds=1.0)
    assert (health.scheduled, health.queued, health.running) == (1, 0, 0)
    assert done.started_at is not None
    assert done.started_at >= task.not_before
    assert (done.state, done.next_attempt_at, done.not_before) == ("succeeded", None, task.not_before)
    assert [event.type for event in told] == ["task.scheduled", "task.queued", "task.started", "task.succeeded"]
    assert told[0].data == {"priority": "normal", "delay_seconds": 1.0}


async def test_a_task_waits_until_a_date(make_engine: EngineFactory) -> None:
    work = Flaky()
    async with make_engine(work) as engine:
        start = datetime.now(UTC) + timedelta(seconds=0.4)
        task = await engine.submit(wanted("x", not_before=start.astimezone()))
        done = await finished(engine, task.id)
    assert task.state == "scheduled"
    assert done.started_at is not None
    # Redis' clock and this process' are read one after the other.
    assert done.started_at >= start - timedelta(milliseconds=50)


async def test_a_date_in_the_past_is_at_once(make_engine: EngineFactory) -> None:
    async with make_engine(Flaky()) as engine:
        task = await engine.submit(wanted("x", not_before=datetime(2020, 1, 1, tzinfo=UTC)))
        await finished(engine, task.id)
    assert (task.state in {"queued", "running"}, task.not_before) == (True, None)


async def test_a_delayed_task_that_is_cancelled_never_starts(make_engine: EngineFactory) -> None:
    work = Flaky()
    async with make_engine(work) as engine:
        task = await engine.submit(wanted("x", delay_seconds=1.0))
        cancelled = await engine.cancel(task.id)
        told = await types(engine, task.id)
        later = await finished(engine, (await engine.submit(wanted("y", delay_seconds=1.1))).id)
        health = await engine.health()
    assert (cancelled.state, cancelled.attempts, cancelled.next_attempt_at) == ("cancelled", 0, None)
    assert told == ["task.scheduled", "task.cancelled"]
    assert (later.state, len(work.started), health.scheduled) == ("succeeded", 1, 0)


async def test_delayed_tasks_count_against_the_queue(make_engine: EngineFactory) -> None:
    async with make_engine(Flaky(), queue_size=2) as engine:
        tasks = [await engine.submit(wanted("x", delay_seconds=60)) for _ in range(2)]
        with pytest.raises(QueueFull, match=r"^2 tasks are waiting already$"):
            await engine.submit(wanted("y"))
        health = await engine.health()
        await engine.cancel(tasks[0].id)
        done = await finished(engine, (await engine.submit(wanted("y"))).id)
    assert (health.state, health.reason) == ("degraded", "the queue is full")
    assert done.state == "succeeded"


async def test_a_delayed_task_takes_its_place_by_priority_when_it_is_due(make_engine: EngineFactory) -> None:
    work = Held()
    async with make_engine(work, concurrency=1) as engine:
        await engine.submit(wanted("first"))
        await work.enter(1)
        delayed = await engine.submit(wanted("late", delay_seconds=0.3, priority="high"))
        await engine.submit(wanted("low", priority="low"))
        async with asyncio.timeout(PATIENCE):
            async for event in engine.events(delayed.id):
                if event.type == "task.queued":
                    break
                await _due(engine, delayed)
        work.go.set()
        await work.enter(2)
    assert work.order == ["first", "late", "low"]


async def _due(engine: Engine, task: TaskRecord) -> None:
    """Wait until the engine had the time to see what is due: on Redis a worker's sweep, or who asks for work."""
    assert task.next_attempt_at is not None
    await asyncio.sleep(max(0.0, (task.next_attempt_at - datetime.now(UTC)).total_seconds()))


# Retries


async def test_a_transient_failure_is_tried_again_until_it_works(make_engine: EngineFactory) -> None:
    work = Flaky(unavailable(), ProviderRateLimited("slow down"))
    async with make_engine(work, policies=retried()) as engine:
        done = await finished(engine, (await engine.submit(wanted("x"))).id)
        told = await all_events(engine, done.id)
    assert (done.state, done.result, done.error) == ("succeeded", "done", None)
    assert (done.attempts, done.retries, done.retried) == (3, 3, 2)
    assert done.last_error == TaskError(code="provider-rate-limited", message="slow down")
    assert [record.attempts for record in work.seen] == [1, 2, 3]
    once = ["task.queued", "task.started"]
    assert [event.type for event in told] == [
        *once, "task.retrying", *once, "task.retrying", *once, "task.succeeded",
    ]  # fmt: skip
    assert told[2].data == {
        "attempt": 1,
        "code": "provider-unavailable",
        "message": "openai is unavailable: status 503",
        "delay_seconds": 0.001,
    }


async def test_between_two_attempts_a_task_is_scheduled_and_says_why(make_engine: EngineFactory) -> None:
    failed = TaskOutcome(error=TaskError(code="provider-timeout", message="too slow"), usage={"requests": 2}, cost=0.5)
    async with make_engine(Flaky(failed), policies=retried(Retry(retries=1, pause_seconds=30))) as engine:
        task = await engine.submit(wanted("x"))
        await _until_scheduled(engine, task.id)
        waiting = await engine.status(task.id)
        health = await engine.health()
        cancelled = await engine.cancel(task.id)
    assert (waiting.state, waiting.attempts, waiting.retried, waiting.error) == ("scheduled", 1, 1, None)
    assert waiting.last_error == failed.error
    assert (waiting.usage, waiting.cost) == ({"requests": 2}, 0.5)
    assert waiting.next_attempt_at is not None
    assert waiting.started_at is not None
    assert timedelta(seconds=20) < waiting.next_attempt_at - waiting.started_at < timedelta(seconds=30)
    assert (health.scheduled, health.running) == (1, 0)
    assert (cancelled.state, cancelled.attempts, cancelled.next_attempt_at) == ("cancelled", 1, None)
    assert (cancelled.usage, cancelled.cost) == ({"requests": 2}, 0.5)


async def _until_scheduled(engine: Engine, task_id: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await engine.status(task_id)).state != "scheduled":
            await asyncio.sleep(0.01)


async def test_after_the_last_retry_a_task_has_failed(make_engine: EngineFactory) -> None:
    work = Flaky(*(unavailable() for _ in range(9)))
    async with make_engine(work, policies=retried()) as engine:
        done = await finished(engine, (await engine.submit(wanted("x"))).id)
        told = await types(engine, done.id)
    assert (done.state, done.attempts, done.retried) == ("failed", 4, 3)
    assert done.error == TaskError(code="provider-unavailable", message="openai is unavailable: status 503")
    assert (Counter(told)["task.retrying"], told[-1]) == (3, "task.failed")


@pytest.mark.parametrize(
    "failure",
    [
        ValueError("a mistake"),
        InvalidInput("the input doesn't fit"),
        TaskOutcome(error=TaskError(code="run-failed", message="it didn't work")),
        TaskOutcome(error=TaskError(code="provider-rejected", message="no such key")),
    ],
    ids=["exception", "input", "run", "rejected"],
)
async def test_what_another_attempt_would_not_change_is_not_tried_again(
    make_engine: EngineFactory, failure: Exception | TaskOutcome
) -> None:
    async with make_engine(Flaky(failure), policies=retried()) as engine:
        done = await finished(engine, (await engine.submit(wanted("x"))).id)
    assert (done.state, done.attempts, done.retried, done.last_error) == ("failed", 1, 0, None)


async def test_a_policy_says_what_else_is_tried_again(make_engine: EngineFactory) -> None:
    policy = replace(AT_ONCE, on=("run-failed", "internal-error"))
    work = Flaky(ValueError("a mistake"), TaskOutcome(error=TaskError(code="run-failed", message="no")))
    async with make_engine(work, policies=retried(policy)) as engine:
        done = await finished(engine, (await engine.submit(wanted("x"))).id)
    assert (done.state, done.attempts) == ("succeeded", 3)


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (1, 2), (5, 6)])
async def test_a_task_says_itself_how_often_it_is_tried_again(
    make_engine: EngineFactory, retries: int, attempts: int
) -> None:
    work = Flaky(*(unavailable() for _ in range(9)))
    async with make_engine(work, policies=retried()) as engine:
        done = await finished(engine, (await engine.submit(wanted("x", retries=retries))).id)
    assert (done.state, done.attempts, done.retries) == ("failed", attempts, retries)


async def test_without_being_asked_nothing_is_tried_again(make_engine: EngineFactory) -> None:
    async with make_engine(Flaky(unavailable())) as engine:
        done = await finished(engine, (await engine.submit(wanted("x"))).id)
    assert (done.state, done.attempts, done.retries) == ("failed", 1, 0)


async def test_a_provider_s_retry_after_is_waited_for(make_engine: EngineFactory) -> None:
    work = Flaky(ProviderRateLimited("slow down", retry_after=0.5))
    async with make_engine(work, policies=retried()) as engine:
        done = await finished(engine, (await engine.submit(wanted("x"))).id)
    assert done.state == "succeeded"
    assert work.started[1] - work.started[0] >= timedelta(seconds=0.5)


async def test_what_failed_attempts_used_is_added_up_and_kept_steps_are_counted_once(
    make_engine: EngineFactory,
) -> None:
    """The first attempt keeps a step of one request, which the second one replays and counts again."""

    async def handler(context: TaskContext) -> TaskOutcome:
        assert context.steps is not None
        step = context.steps.asked("echo", "x")
        replayed = context.steps.recall(step)
        if replayed is None:
            await context.steps.keep(step, {"said": "x"})
            return TaskOutcome(
                error=TaskError(code="provider-timeout", message="too slow"),
                usage={"requests": 3},
                cost=0.75,
                kept_usage={"requests": 1},
                kept_cost=0.25,
            )
        return TaskOutcome(result=replayed, usage={"requests": 2, "tool_calls": 1}, cost=0.5)

    async with make_engine(handler, policies=retried()) as engine:
        done = await finished(engine, (await engine.submit(wanted("x"))).id)
    assert (done.state, done.result, done.attempts) == ("succeeded", {"said": "x"}, 2)
    assert (done.usage, done.cost) == ({"requests": 4, "tool_calls": 1}, 1.0)


# Deadline


async def test_a_running_task_is_cancelled_at_its_deadline(make_engine: EngineFactory) -> None:
    work = Held()
    async with make_engine(work, policies=retried()) as engine:
        task = await engine.submit(wanted("x", deadline_seconds=1.5))
        await work.enter(1)
        done = await finished(engine, task.id)
        told = await all_events(engine, task.id)
        health = await engine.health()
    assert task.deadline == task.created_at + timedelta(seconds=1.5)
    assert (done.state, done.error, done.attempts, work.running["work"]) == ("failed", LATE, 1, 0)
    assert (told[-1].type, told[-1].data) == ("task.failed", {"code": LATE.code, "message": LATE.message})
    assert health.running == 0


async def test_a_task_isn_t_started_after_its_deadline(make_engine: EngineFactory) -> None:
    work = Held()
    async with make_engine(work, concurrency=1) as engine:
        first = await engine.submit(wanted("first"))
        await work.enter(1)
        late = await engine.submit(wanted("late", deadline=datetime.now(UTC) + timedelta(seconds=0.3)))
        done = await finished(engine, late.id)
        work.go.set()
        await finished(engine, first.id)
        health = await engine.health()
    assert (done.state, done.error, done.attempts, done.started_at) == ("failed", LATE, 0, None)
    assert (work.order, health.queued) == (["first"], 0)


async def test_a_retry_that_would_begin_after_the_deadline_isn_t_waited_for(make_engine: EngineFactory) -> None:
    work = Flaky(unavailable())
    async with make_engine(work, policies=retried(Retry(retries=3, pause_seconds=30))) as engine:
        done = await finished(engine, (await engine.submit(wanted("x", deadline_seconds=10))).id)
    assert (done.state, done.attempts, done.retried) == ("failed", 1, 0)
    assert done.error == TaskError(
        code="provider-unavailable",
        message="openai is unavailable: status 503",
        hint="it wasn't tried again, for the next attempt would have begun after the task's deadline",
    )


async def test_a_task_that_ends_in_time_is_left_alone_by_its_deadline(make_engine: EngineFactory) -> None:
    async with make_engine(Flaky()) as engine:
        done = await finished(engine, (await engine.submit(wanted("x", deadline_seconds=30))).id)
    assert (done.state, done.error) == ("succeeded", None)


# What can't be


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"delay_seconds": -1}, "delay_seconds can't be negative"),
        ({"delay_seconds": float("nan")}, "delay_seconds must be a finite number"),
        ({"delay_seconds": 31 * 86400}, "a task can't be delayed by more than 30 days"),
        ({"not_before": datetime(2026, 1, 1)}, "not_before has no time zone"),  # noqa: DTZ001 # what is tested
        (
            {"delay_seconds": 1, "not_before": datetime(2020, 1, 1, tzinfo=UTC)},
            "delay_seconds and not_before say the same in two ways",
        ),
        ({"deadline": datetime(2020, 1, 1, tzinfo=UTC)}, "the deadline is over already"),
        ({"deadline_seconds": 0}, "the deadline is over already"),
        ({"delay_seconds": 5, "deadline_seconds": 4}, "the deadline is over before the task may start"),
        ({"retries": -1}, "retries must be a number from 0 to 20"),
        ({"retries": 21}, "retries must be a number from 0 to 20"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_times_that_can_t_be_are_refused(
    make_engine: EngineFactory, changes: dict[str, object], message: str
) -> None:
    work = Flaky()
    async with make_engine(work) as engine:
        with pytest.raises(InvalidInput) as refused:
            await engine.submit(wanted("x", **changes))
        health = await engine.health()
    assert refused.value.message == message
    assert (work.started, health.queued, health.scheduled) == ([], 0, 0)


async def test_another_time_is_another_body_to_a_key(make_engine: EngineFactory) -> None:
    async with make_engine(Flaky()) as engine:
        request = wanted("x", idempotency_key="k", delay_seconds=30, deadline_seconds=60)
        task = await engine.submit(request)
        again = await engine.submit(request)
        with pytest.raises(IdempotencyConflict):
            await engine.submit(replace(request, delay_seconds=31))
    assert again == task


async def test_a_key_finds_its_task_after_the_deadline_too(make_engine: EngineFactory) -> None:
    async with make_engine(Flaky()) as engine:
        request = wanted("x", idempotency_key="k", deadline=datetime.now(UTC) + timedelta(seconds=0.3))
        done = await finished(engine, (await engine.submit(request)).id)
        await asyncio.sleep(0.4)
        assert await engine.submit(request) == done


# Limits of capabilities


async def test_only_so_many_of_a_capability_run_at_once_and_others_go_by(make_engine: EngineFactory) -> None:
    work = Held()
    policies = {"narrow": TaskPolicy(concurrency=2)}
    async with make_engine(work, concurrency=4, policies=policies) as engine:
        narrow = [await engine.submit(wanted([number], capability="narrow")) for number in range(6)]
        wide = [await engine.submit(wanted([number], capability="wide", priority="low")) for number in range(2)]
        await work.enter(4)
        held = Counter(work.running)
        health = await engine.health()
        work.go.set()
        done = [await finished(engine, task.id) for task in (*narrow, *wide)]
    assert held == {"narrow": 2, "wide": 2}
    assert (health.running, health.queued, health.detail["waiting"]) == (4, 4, {"narrow": 4})
    assert {record.state for record in done} == {"succeeded"}
    assert work.most["narrow"] == 2


async def test_a_failed_or_cancelled_task_frees_its_slot(make_engine: EngineFactory) -> None:
    held = Held()

    async def handler(context: TaskContext) -> TaskOutcome:
        if context.record.input == "fail":
            return TaskOutcome(error=TaskError(code="run-failed", message="no"))
        return await held(context)

    async with make_engine(handler, policies={"work": TaskPolicy(concurrency=1)}) as engine:
        first = await engine.submit(wanted("first"))
        await held.enter(1)
        failing, last = await engine.submit(wanted("fail")), await engine.submit(wanted("last"))
        await engine.cancel(first.id)
        assert (await finished(engine, failing.id)).state == "failed"
        await held.enter(1)
        held.go.set()
        done = await finished(engine, last.id)
    assert (done.state, held.order) == ("succeeded", ["first", "last"])


async def test_a_task_that_waits_for_its_retry_holds_no_slot(make_engine: EngineFactory) -> None:
    work = Flaky(unavailable())
    policies = {"work": TaskPolicy(retry=Retry(retries=1, pause_seconds=30), concurrency=1)}
    async with make_engine(work, policies=policies) as engine:
        waiting = await engine.submit(wanted("waits"))
        await _until_scheduled(engine, waiting.id)
        done = await finished(engine, (await engine.submit(wanted("goes by"))).id)
        await engine.cancel(waiting.id)
    assert done.state == "succeeded"


# One trace


async def test_each_attempt_is_a_span_of_its_own_under_the_submission(
    make_engine: EngineFactory, recorded: Recorded
) -> None:
    work = Flaky(unavailable())
    policy = Retry(retries=1, pause_seconds=0.04, longest_pause_seconds=0.04)
    async with make_engine(work, policies=retried(policy)) as engine:
        task = await engine.submit(wanted("x", delay_seconds=0.25))
        done = await finished(engine, task.id)
    assert recorded.tree() == "submit work\n  task work !provider-unavailable\n  task work"
    assert recorded.trace_ids == {done.trace_id}
    assert recorded.attributes("submit work")["weaver.task.delay"] == 0.25
    first, second = sorted(
        (span for span in recorded.all if span.name == "task work"), key=lambda span: span.start_time or 0
    )
    told = [dict(span.attributes or {}) for span in (first, second)]
    assert [span.kind.name for span in (first, second)] == ["CONSUMER", "CONSUMER"]
    assert [each["weaver.task.attempt"] for each in told] == [1, 2]
    assert [each["weaver.task.state"] for each in told] == ["scheduled", "succeeded"]
    assert [each.get("weaver.task.retry.delay") for each in told] == [0.03, None]
    assert {each["messaging.message.id"] for each in told} == {task.id}


async def test_an_attempt_that_its_deadline_ended_shows_it(make_engine: EngineFactory, recorded: Recorded) -> None:
    async with make_engine(Held()) as engine:
        await finished(engine, (await engine.submit(wanted("x", deadline_seconds=1.5))).id)
    assert recorded.tree() == "submit work\n  task work !deadline-exceeded"
    assert recorded.attributes("task work")["weaver.task.state"] == "failed"
