"""What every engine promises, over every engine there is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.contract.engine_factories import ENGINES, EngineFactory, engine_factory
from tests.fixtures.recorded_spans import Recorded
from weaver_ai.errors import (
    Draining,
    IdempotencyConflict,
    InvalidInput,
    ProviderRateLimited,
    QueueFull,
    TaskNotFound,
)
from weaver_ai.tasks import (
    DrainReport,
    Engine,
    TaskContext,
    TaskError,
    TaskEvent,
    TaskOutcome,
    TaskRecord,
    TaskRequest,
)
from weaver_ai.telemetry.logs import bind_log_context, log_context

pytest_plugins = ["tests.fixtures.recorded", "tests.fixtures.redis_server"]

PATIENCE = 5.0


@pytest.fixture(params=ENGINES)
def make_engine(request: pytest.FixtureRequest) -> EngineFactory:
    return engine_factory(request.param, request)


@pytest.fixture(params=["embedded"])
def make_ending_engine(request: pytest.FixtureRequest) -> EngineFactory:
    """An engine whose drain ends every task, for there is nobody to leave one to."""
    return engine_factory(request.param, request)


@pytest.fixture(params=["docket"])
def make_handing_engine(request: pytest.FixtureRequest) -> EngineFactory:
    """An engine whose drain hands back what it doesn't see the end of."""
    return engine_factory(request.param, request)


class Work:
    """A handler that does what the task's input says, and remembers what happened."""

    def __init__(self) -> None:
        self.started: list[object] = []
        self.cancelled: list[object] = []
        self.running = 0
        self.most_at_once = 0
        self.go = asyncio.Event()
        self.entered = asyncio.Semaphore(0)

    async def __call__(self, context: TaskContext) -> TaskOutcome:
        what = context.record.input
        self.started.append(what)
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        self.entered.release()
        try:
            return await self._do(what, context)
        except asyncio.CancelledError:
            self.cancelled.append(what)
            raise
        finally:
            self.running -= 1

    async def _do(self, what: object, context: TaskContext) -> TaskOutcome:
        match what:
            case "wait" | ["wait", _]:
                await self.go.wait()
            case "ignore cancellation":
                while not self.go.is_set():
                    try:
                        await self.go.wait()
                    except asyncio.CancelledError:
                        continue
            case "raise WeaverError":
                raise ProviderRateLimited("slow down", hint="wait", retry_after=7.0)
            case "raise ValueError":
                raise ValueError("the password is hunter2")
            case "fail":
                error = TaskError(code="run-failed", message="it didn't work")
                return TaskOutcome(error=error, usage={"requests": 2}, cost=0.5)
            case "no JSON":
                return TaskOutcome(result={"when": datetime.now(UTC)})  # type: ignore[dict-item]  # what is tested
            case "tell":
                for number in range(3):
                    await context.emit("progress", {"number": number})
        return TaskOutcome(result={"did": context.record.input}, usage={"requests": 1}, cost=0.25)

    async def enter(self) -> None:
        """Wait until one more handler has begun."""
        async with asyncio.timeout(PATIENCE):
            await self.entered.acquire()


def wanted(what: str | list[object], **changes: object) -> TaskRequest:
    return replace(TaskRequest(capability="work", input=what), **changes)


async def finished(engine: Engine, task_id: str) -> TaskRecord:
    record = await engine.result(task_id, timeout_seconds=PATIENCE)
    assert record.finished, record
    return record


async def all_events(engine: Engine, task_id: str, after: str | None = None) -> list[TaskEvent]:
    async with asyncio.timeout(PATIENCE):
        return [event async for event in engine.events(task_id, after=after)]


async def types(engine: Engine, task_id: str, after: str | None = None) -> list[str]:
    return [event.type for event in await all_events(engine, task_id, after)]


async def test_a_task_runs_and_its_record_says_everything(make_engine: EngineFactory) -> None:
    async with make_engine(Work()) as engine:
        before = datetime.now(UTC)
        accepted = await engine.submit(wanted("hello", priority="high", metadata={"customer": 7}))
        done = await finished(engine, accepted.id)
    assert accepted.state in {"queued", "running"}
    assert done.created_at >= before
    assert done.started_at is not None
    assert done.finished_at is not None
    assert done.created_at <= done.started_at <= done.finished_at
    assert done == TaskRecord(
        id=accepted.id,
        capability="work",
        input="hello",
        priority="high",
        metadata={"customer": 7},
        state="succeeded",
        result={"did": "hello"},
        attempts=1,
        usage={"requests": 1},
        cost=0.25,
        created_at=accepted.created_at,
        started_at=done.started_at,
        finished_at=done.finished_at,
        trace_id=done.trace_id,
        traceparent=done.traceparent,
    )


async def test_a_weaver_error_is_the_record_s_error(make_engine: EngineFactory) -> None:
    async with make_engine(Work()) as engine:
        done = await finished(engine, (await engine.submit(wanted("raise WeaverError"))).id)
        events = await all_events(engine, done.id)
    assert (done.state, done.result) == ("failed", None)
    assert done.error == TaskError(code="provider-rate-limited", message="slow down", hint="wait", retry_after=7.0)
    assert (events[-1].type, events[-1].data) == (
        "task.failed",
        {"code": "provider-rate-limited", "message": "slow down"},
    )


async def test_any_other_error_is_logged_and_not_told(
    make_engine: EngineFactory, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    async with make_engine(Work()) as engine:
        done = await finished(engine, (await engine.submit(wanted("raise ValueError"))).id)
    assert done.state == "failed"
    assert done.error == TaskError(code="internal-error", message="the task failed for a reason that was logged")
    assert "a task's handler raised" in caplog.text + capsys.readouterr().err


async def test_what_a_failed_task_used_is_kept(make_engine: EngineFactory) -> None:
    async with make_engine(Work()) as engine:
        done = await finished(engine, (await engine.submit(wanted("fail"))).id)
    assert (done.state, done.usage, done.cost) == ("failed", {"requests": 2}, 0.5)
    assert done.error == TaskError(code="run-failed", message="it didn't work")


async def test_a_result_that_is_no_json_fails_the_task(make_engine: EngineFactory) -> None:
    async with make_engine(Work()) as engine:
        done = await finished(engine, (await engine.submit(wanted("no JSON"))).id)
    assert (done.state, done.error and done.error.code) == ("failed", "internal-error")


async def test_a_handler_that_gives_nothing_back_fails_its_task(make_engine: EngineFactory) -> None:
    async def forgetful(context: TaskContext) -> TaskOutcome:
        return None  # type: ignore[return-value]  # what is tested

    async with make_engine(forgetful) as engine:
        done = await finished(engine, (await engine.submit(wanted("x"))).id)
    assert (done.state, done.error and done.error.code) == ("failed", "internal-error")


async def test_logs_of_a_task_carry_its_id(make_engine: EngineFactory) -> None:
    seen: list[dict[str, object]] = []

    async def handler(context: TaskContext) -> TaskOutcome:
        seen.append(dict(log_context()))
        return TaskOutcome()

    async with make_engine(handler) as engine:
        with bind_log_context(request_id="r1"):
            tasks = [await engine.submit(wanted([number])) for number in range(2)]
        for task in tasks:
            await finished(engine, task.id)
    assert seen == [{"weaver.task.id": task.id} for task in tasks]


async def test_an_input_that_is_no_json_is_refused(make_engine: EngineFactory) -> None:
    async with make_engine(Work()) as engine:
        with pytest.raises(InvalidInput, match=r"^a task's input and metadata must be JSON values$"):
            await engine.submit(TaskRequest(capability="work", input=object()))  # type: ignore[arg-type]  # what is tested
        with pytest.raises(InvalidInput, match=r"^a task's input and metadata must be JSON values$"):
            await engine.submit(TaskRequest(capability="work", input="x", metadata={"at": datetime.now(UTC)}))  # type: ignore[dict-item]  # what is tested


Ask = Callable[[Engine], Awaitable[object]]


@pytest.mark.parametrize(
    "ask",
    [
        lambda engine: engine.status("nowhere"),
        lambda engine: engine.result("nowhere", timeout_seconds=1),
        lambda engine: engine.cancel("nowhere"),
        lambda engine: all_events(engine, "nowhere"),
    ],
    ids=["status", "result", "cancel", "events"],
)
async def test_an_unknown_task_is_an_error(make_engine: EngineFactory, ask: Ask) -> None:
    async with make_engine(Work()) as engine:
        with pytest.raises(TaskNotFound, match=r"^no task 'nowhere'$"):
            await ask(engine)


async def test_a_result_that_takes_too_long_is_the_record_as_it_stands(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        task = await engine.submit(wanted("wait"))
        await work.enter()
        early = await engine.result(task.id, timeout_seconds=0.01)
        work.go.set()
        late = await finished(engine, task.id)
    assert (early.state, early.attempts, late.state) == ("running", 1, "succeeded")


async def test_no_more_tasks_run_at_once_than_allowed(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work, concurrency=3) as engine:
        tasks = [await engine.submit(wanted(["wait", number])) for number in range(8)]
        for _ in range(3):
            await work.enter()
        health = await engine.health()
        work.go.set()
        done = [await finished(engine, task.id) for task in tasks]
    assert (health.state, health.running, health.queued) == ("ok", 3, 5)
    assert (work.most_at_once, {record.state for record in done}) == (3, {"succeeded"})


async def test_urgent_tasks_come_first_and_then_those_that_came_first(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work, concurrency=1) as engine:
        await engine.submit(wanted("wait"))
        await work.enter()
        last = None
        for number, priority in enumerate(["low", "normal", "high", "low", "normal", "high"]):
            last = await engine.submit(wanted([priority, number], priority=priority))
        assert last is not None
        work.go.set()
        for _ in range(6):
            await work.enter()
    assert work.started[1:] == [["high", 2], ["high", 5], ["normal", 1], ["normal", 4], ["low", 0], ["low", 3]]


async def test_a_full_queue_refuses_and_says_when_to_come_back(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work, concurrency=1, queue_size=2) as engine:
        running = await engine.submit(wanted("wait"))
        await work.enter()
        waiting = [await engine.submit(wanted(["wait", number])) for number in range(2)]
        with pytest.raises(QueueFull, match=r"^2 tasks are waiting already$") as full:
            await engine.submit(wanted("one too many"))
        health = await engine.health()
        work.go.set()
        for task in [running, *waiting]:
            await finished(engine, task.id)
        again = await finished(engine, (await engine.submit(wanted("now"))).id)
    assert full.value.retry_after is not None
    assert full.value.retry_after >= 1.0
    assert (health.state, health.reason, health.queued) == ("degraded", "the queue is full", 2)
    assert again.state == "succeeded"
    assert "one too many" not in work.started


# Cancellation


async def test_a_cancelled_task_that_waited_never_starts(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work, concurrency=1) as engine:
        first = await engine.submit(wanted("wait"))
        await work.enter()
        waiting = await engine.submit(wanted("never"))
        cancelled = await engine.cancel(waiting.id)
        told = await types(engine, waiting.id)
        health = await engine.health()
        work.go.set()
        await finished(engine, first.id)
    assert (cancelled.state, cancelled.attempts, cancelled.started_at) == ("cancelled", 0, None)
    assert cancelled.error == TaskError(code="run-cancelled", message="the task was cancelled")
    assert told == ["task.queued", "task.cancelled"]
    assert (health.queued, work.started) == (0, ["wait"])


async def test_a_running_task_is_cancelled_for_real(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        task = await engine.submit(wanted("wait"))
        await work.enter()
        cancelled = await engine.cancel(task.id)
        told = await types(engine, task.id)
    assert (cancelled.state, cancelled.attempts, work.cancelled, work.running) == ("cancelled", 1, ["wait"], 0)
    assert cancelled.error == TaskError(code="run-cancelled", message="the task was cancelled")
    assert told == ["task.queued", "task.started", "task.cancelled"]


async def test_cancelled_at_once_a_task_ends_whether_it_had_begun_or_not(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        tasks = [await engine.submit(wanted(["wait", number])) for number in range(4)]
        async with asyncio.timeout(PATIENCE):
            records = await asyncio.gather(*(engine.cancel(task.id) for task in tasks))
        health = await engine.health()
    assert {record.state for record in records} == {"cancelled"}
    assert (health.running, health.queued) == (0, 0)


async def test_a_finished_task_stays_as_it_is_when_it_is_cancelled(make_engine: EngineFactory) -> None:
    async with make_engine(Work()) as engine:
        done = await finished(engine, (await engine.submit(wanted("hello"))).id)
        assert await engine.cancel(done.id) == done


async def test_a_task_that_ignores_its_cancellation_keeps_nobody_waiting(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        task = await engine.submit(wanted("ignore cancellation"))
        await work.enter()
        async with asyncio.timeout(PATIENCE):
            stubborn = await engine.cancel(task.id)
        work.go.set()
        done = await finished(engine, task.id)
    assert (stubborn.state, done.state) == ("running", "succeeded")


async def test_everyone_who_waits_is_released_by_a_cancellation(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        task = await engine.submit(wanted("wait"))
        await work.enter()
        waiters = [asyncio.create_task(engine.result(task.id)) for _ in range(3)]
        readers = [asyncio.create_task(types(engine, task.id)) for _ in range(3)]
        await asyncio.sleep(0)
        await engine.cancel(task.id)
        async with asyncio.timeout(PATIENCE):
            records, told = await asyncio.gather(*waiters), await asyncio.gather(*readers)
    assert {record.state for record in records} == {"cancelled"}
    assert told == [["task.queued", "task.started", "task.cancelled"]] * 3


async def test_a_waiter_that_gives_up_disturbs_nobody(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        task = await engine.submit(wanted("wait"))
        await work.enter()
        waiter = asyncio.create_task(engine.result(task.id))
        await asyncio.sleep(0)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        work.go.set()
        assert (await finished(engine, task.id)).state == "succeeded"
    assert work.cancelled == []


# Idempotency


async def test_the_same_key_and_body_is_the_same_task(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        request = wanted(["x"], idempotency_key="k1", metadata={"a": 1, "b": 2})
        first = await engine.submit(request)
        done = await finished(engine, first.id)
        again = await engine.submit(replace(request, metadata={"b": 2, "a": 1}, traceparent=None))
    assert again == done
    assert work.started == [["x"]]


@pytest.mark.parametrize(
    "changes",
    [{"input": "other"}, {"priority": "low"}, {"metadata": {"a": 1}}, {"capability": "other"}],
    ids=["input", "priority", "metadata", "capability"],
)
async def test_the_same_key_with_another_body_is_refused(
    make_engine: EngineFactory, changes: dict[str, object]
) -> None:
    work = Work()
    async with make_engine(work) as engine:
        request = wanted("x", idempotency_key="k1")
        await finished(engine, (await engine.submit(request)).id)
        with pytest.raises(IdempotencyConflict, match=r"^the idempotency key 'k1' was used with another body$"):
            await engine.submit(replace(request, **changes))
    assert work.started == ["x"]


async def test_one_task_comes_of_a_race_for_a_key(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        requests = [wanted("x", idempotency_key="k1") for _ in range(20)]
        accepted = await asyncio.gather(*(engine.submit(request) for request in requests))
        await finished(engine, accepted[0].id)
    assert len({record.id for record in accepted}) == 1
    assert work.started == ["x"]


async def test_a_refused_task_leaves_its_key_unused(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work, concurrency=1, queue_size=1) as engine:
        await engine.submit(wanted("wait"))
        await work.enter()
        waiting = await engine.submit(wanted(["wait", 1]))
        with pytest.raises(QueueFull):
            await engine.submit(wanted("later", idempotency_key="k1"))
        work.go.set()
        await finished(engine, waiting.id)
        done = await finished(engine, (await engine.submit(wanted("another", idempotency_key="k1"))).id)
    assert (done.state, done.input) == ("succeeded", "another")


# Events


async def test_events_tell_the_whole_story_and_can_be_taken_up_anywhere(make_engine: EngineFactory) -> None:
    async with make_engine(Work()) as engine:
        task = await engine.submit(wanted("tell"))
        await finished(engine, task.id)
        story = await all_events(engine, task.id)
        later = {event.id: await all_events(engine, task.id, after=event.id) for event in story}
    assert [event.type for event in story] == [
        "task.queued", "task.started", "progress", "progress", "progress", "task.succeeded",
    ]  # fmt: skip
    assert [event.data for event in story[2:5]] == [{"number": 0}, {"number": 1}, {"number": 2}]
    assert len({event.id for event in story}) == len(story)
    assert sorted(event.time for event in story) == [event.time for event in story]
    for place, event in enumerate(story):
        assert later[event.id] == story[place + 1 :]


async def test_events_arrive_while_the_task_runs(make_engine: EngineFactory) -> None:
    release = asyncio.Event()

    async def handler(context: TaskContext) -> TaskOutcome:
        await context.emit("first", {})
        await release.wait()
        await context.emit("second", {})
        return TaskOutcome()

    async with make_engine(handler) as engine:
        task = await engine.submit(wanted("x"))
        seen: list[str] = []
        async with asyncio.timeout(PATIENCE):
            async for event in engine.events(task.id):
                seen.append(event.type)
                if event.type == "first":
                    assert (await engine.status(task.id)).state == "running"
                    release.set()
    assert seen == ["task.queued", "task.started", "first", "second", "task.succeeded"]


async def test_events_that_are_no_longer_kept_are_counted(make_engine: EngineFactory) -> None:
    async def handler(context: TaskContext) -> TaskOutcome:
        for number in range(10):
            await context.emit("progress", {"number": number})
        return TaskOutcome()

    async with make_engine(handler, max_events=3) as engine:
        task = await engine.submit(wanted("x"))
        await finished(engine, task.id)
        story = await all_events(engine, task.id)
        resumed = await all_events(engine, task.id, after=story[0].id)
    assert [(event.type, event.data) for event in story] == [
        ("events.dropped", {"count": 10}),
        ("progress", {"number": 8}),
        ("progress", {"number": 9}),
        ("task.succeeded", {}),
    ]
    assert resumed == story[1:]


async def test_a_wrong_event_id_is_refused(make_engine: EngineFactory) -> None:
    async with make_engine(Work()) as engine:
        task = await engine.submit(wanted("x"))
        with pytest.raises(InvalidInput, match=r"^'yesterday' is no event id of this engine$"):
            await all_events(engine, task.id, after="yesterday")


# Drain


async def test_a_drain_waits_for_running_work(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        task = await engine.submit(wanted("wait"))
        await work.enter()
        drain = asyncio.create_task(engine.drain(PATIENCE))
        await asyncio.sleep(0.01)
        with pytest.raises(Draining, match=r"^the service is shutting down and takes no new tasks$") as refused:
            await engine.submit(wanted("late"))
        health = await engine.health()
        work.go.set()
        report = await drain
        record = await engine.status(task.id)
    assert refused.value.retry_after is not None
    assert (health.state, health.reason) == ("degraded", "draining")
    assert report == DrainReport(finished=(task.id,))
    assert record.state == "succeeded"


async def test_a_drain_ends_work_that_takes_too_long_and_says_so(make_ending_engine: EngineFactory) -> None:
    work = Work()
    async with make_ending_engine(work, concurrency=1) as engine:
        stuck = await engine.submit(wanted("wait"))
        await work.enter()
        waiting = await engine.submit(wanted("never"))
        readers = [asyncio.create_task(types(engine, task.id)) for task in (stuck, waiting)]
        async with asyncio.timeout(PATIENCE):
            report = await engine.drain(0.01)
            told = await asyncio.gather(*readers)
        ended = [await engine.status(task.id) for task in (stuck, waiting)]
    assert report == DrainReport(cancelled=(stuck.id, waiting.id))
    assert work.cancelled == ["wait"]
    assert told == [["task.queued", "task.started", "task.cancelled"], ["task.queued", "task.cancelled"]]
    assert [(record.state, record.error and record.error.code) for record in ended] == [("cancelled", "draining")] * 2


async def test_a_drain_leaves_behind_what_ignores_it(make_ending_engine: EngineFactory) -> None:
    work = Work()
    async with make_ending_engine(work) as engine:
        task = await engine.submit(wanted("ignore cancellation"))
        await work.enter()
        waiter = asyncio.create_task(engine.result(task.id))
        async with asyncio.timeout(PATIENCE):
            report = await engine.drain(0.01)
            waited = await waiter
        work.go.set()
        await asyncio.sleep(0.01)
        after = await engine.status(task.id)
    assert report == DrainReport(abandoned=(task.id,))
    assert (waited.state, waited.error and waited.error.code) == ("cancelled", "draining")
    assert after == waited


async def test_a_drain_hands_back_what_takes_too_long_and_leaves_alone_what_waits(
    make_handing_engine: EngineFactory,
) -> None:
    work = Work()
    async with make_handing_engine(work, concurrency=1) as engine:
        stuck = await engine.submit(wanted("wait"))
        await work.enter()
        waiting = await engine.submit(wanted("later"))
        async with asyncio.timeout(PATIENCE):
            report = await engine.drain(0.01)
        left = [await engine.status(task.id) for task in (stuck, waiting)]
        health = await engine.health()
    assert report == DrainReport(handed_back=(stuck.id,))
    assert work.cancelled == ["wait"]
    assert [(record.state, record.attempts, record.error) for record in left] == [
        ("queued", 1, None),
        ("queued", 0, None),
    ]
    assert (health.queued, health.running) == (2, 0)


async def test_a_drain_hands_back_what_ignores_it_and_its_word_no_longer_counts(
    make_handing_engine: EngineFactory,
) -> None:
    work = Work()
    async with make_handing_engine(work) as engine:
        task = await engine.submit(wanted("ignore cancellation"))
        await work.enter()
        async with asyncio.timeout(PATIENCE):
            report = await engine.drain(0.01)
        work.go.set()
        while work.running:
            await asyncio.sleep(0.01)
        after = await engine.status(task.id)
    assert report == DrainReport(handed_back=(task.id,))
    assert (after.state, after.result, after.attempts) == ("queued", None, 1)


async def test_a_second_drain_gives_the_first_one_s_report(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        task = await engine.submit(wanted("wait"))
        await work.enter()
        first, second = await asyncio.gather(engine.drain(0.01), engine.drain(PATIENCE))
        third = await engine.drain(0)
    assert first == second == third
    assert task.id in (*first.cancelled, *first.handed_back)
    assert work.cancelled == ["wait"]


# One trace


async def test_a_task_is_in_the_trace_of_whoever_submitted_it(make_engine: EngineFactory, recorded: Recorded) -> None:
    async with make_engine(Work()) as engine:
        with recorded.tracer.start_as_current_span("POST /v1/tasks"):
            task = await engine.submit(wanted("hello", priority="low"))
        done = await finished(engine, task.id)
    assert recorded.tree() == "POST /v1/tasks\n  submit work\n    task work"
    assert recorded.trace_ids == {done.trace_id}
    common = {
        "messaging.system": engine.name,
        "messaging.destination.name": "weaver.tasks",
        "messaging.message.id": task.id,
        "weaver.task.id": task.id,
        "weaver.task.capability": "work",
        "weaver.task.priority": "low",
    }
    assert recorded.one("submit work").kind.name == "PRODUCER"
    assert recorded.attributes("submit work") == {
        **common, "messaging.operation.type": "send", "messaging.operation.name": "submit",
    }  # fmt: skip
    assert recorded.one("task work").kind.name == "CONSUMER"
    assert recorded.attributes("task work") == {
        **common, "messaging.operation.type": "process", "messaging.operation.name": "task", "weaver.task.attempt": 1,
        "weaver.task.state": "succeeded",
    }  # fmt: skip


async def test_a_task_joins_the_trace_that_its_request_names(make_engine: EngineFactory, recorded: Recorded) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    async with make_engine(Work()) as engine:
        task = await engine.submit(wanted("hello", traceparent=f"00-{trace_id}-b7ad6b7169203331-01"))
        done = await finished(engine, task.id)
    assert recorded.tree() == "submit work\n  task work"
    assert (recorded.trace_ids, done.trace_id) == ({trace_id}, trace_id)


@pytest.mark.parametrize(
    ("what", "line", "state"),
    [
        ("raise WeaverError", "task work !provider-rate-limited", "failed"),
        ("raise ValueError", "task work !ValueError", "failed"),
        ("fail", "task work !run-failed", "failed"),
    ],
)
async def test_a_failed_attempt_shows_on_its_span(
    make_engine: EngineFactory, recorded: Recorded, what: str, line: str, state: str
) -> None:
    async with make_engine(Work()) as engine:
        await finished(engine, (await engine.submit(wanted(what))).id)
    assert recorded.tree() == f"submit work\n  {line}"
    assert recorded.one("task work").status.status_code.name == "ERROR"
    assert recorded.attributes("task work")["weaver.task.state"] == state


async def test_a_cancelled_attempt_shows_on_its_span(make_engine: EngineFactory, recorded: Recorded) -> None:
    work = Work()
    async with make_engine(work) as engine:
        task = await engine.submit(wanted("wait"))
        await work.enter()
        await engine.cancel(task.id)
    assert recorded.tree() == "submit work\n  task work !cancelled"
    assert recorded.attributes("task work")["weaver.task.state"] == "cancelled"


async def test_a_refusal_shows_on_the_span_that_asked(make_engine: EngineFactory, recorded: Recorded) -> None:
    async with make_engine(Work()) as engine:
        await engine.drain(0)
        with pytest.raises(Draining):
            await engine.submit(wanted("late"))
    assert recorded.tree() == "submit work !draining"


async def test_many_tasks_all_end(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work, concurrency=8, queue_size=1000) as engine:
        tasks = [await engine.submit(wanted([number, "x"])) for number in range(300)]
        cancelled = [await engine.cancel(task.id) for task in tasks[::7]]
        done = [await finished(engine, task.id) for task in tasks]
    states = Counter(record.state for record in done)
    assert states["succeeded"] + states["cancelled"] == 300
    assert all(record.finished for record in cancelled)
    assert len(work.started) == len({str(item) for item in work.started})
