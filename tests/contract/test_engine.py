"""What every engine promises, over every engine there is: tasks, their records, their turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from pydantic import JsonValue

from tests.contract.engine_factories import EngineFactory
from tests.contract.engine_work import Work, all_events, finished, types, wanted
from weaver_ai.errors import (
    InvalidInput,
    QueueFull,
    TaskNotFound,
)
from weaver_ai.tasks import (
    Engine,
    TaskContext,
    TaskError,
    TaskOutcome,
    TaskRecord,
    TaskRequest,
)
from weaver_ai.telemetry.logs import bind_log_context, log_context

pytest_plugins = ["tests.fixtures.recorded", "tests.fixtures.redis_server"]


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


def _nested(levels: int) -> JsonValue:
    value: JsonValue = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "result",
    [
        pytest.param({"when": datetime.now(UTC)}, id="a time"),
        pytest.param({"text": "half of \ud83d"}, id="half a surrogate pair"),
        pytest.param({"\ud83d": 1}, id="half a surrogate pair as a key"),
        pytest.param(_nested(200), id="too deep for who reads it"),
        pytest.param(_nested(300), id="too deep to write"),
    ],
)
async def test_a_result_that_is_no_json_fails_the_task_once(make_engine: EngineFactory, result: JsonValue) -> None:
    started: list[str] = []

    async def handler(context: TaskContext) -> TaskOutcome:
        started.append(context.record.id)
        return TaskOutcome(result=result, usage={"requests": 1}, cost=0.25)

    async with make_engine(handler) as engine:
        done = await finished(engine, (await engine.submit(wanted("x"))).id)
        events = await types(engine, done.id)
    assert (done.state, done.result, done.usage, done.cost) == ("failed", None, {"requests": 1}, 0.25)
    assert done.error == TaskError(
        code="run-failed",
        message="the task's result can't be written as JSON and read again",
        hint="JSON is text without halves of surrogate pairs, numbers, lists and objects, less than 200 levels deep",
    )
    assert started == [done.id]
    assert events == ["task.queued", "task.started", "task.failed"]


async def test_a_deep_result_that_is_kept_can_be_read(make_engine: EngineFactory) -> None:
    async def handler(context: TaskContext) -> TaskOutcome:
        return TaskOutcome(result=_nested(199))

    async with make_engine(handler) as engine:
        done = await finished(engine, (await engine.submit(wanted("x"))).id)
        assert (await engine.status(done.id)).result == _nested(199)


async def test_an_event_that_is_no_json_fails_the_task(make_engine: EngineFactory) -> None:
    async def handler(context: TaskContext) -> TaskOutcome:
        await context.emit("progress", {"text": "half of \ud83d"})
        return TaskOutcome()

    async with make_engine(handler) as engine:
        done = await finished(engine, (await engine.submit(wanted("x"))).id)
        events = await types(engine, done.id)
    assert done.error is not None
    assert (done.state, done.attempts, done.error.code, done.error.message) == (
        "failed",
        1,
        "run-failed",
        "the task's event 'progress' can't be written as JSON and read again",
    )
    assert events == ["task.queued", "task.started", "task.failed"]


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
    assert sorted(str(each["weaver.task.id"]) for each in seen) == sorted(task.id for task in tasks)
    assert [list(each) for each in seen] == [["weaver.task.id"]] * 2


async def test_an_input_that_is_no_json_is_refused(make_engine: EngineFactory) -> None:
    async with make_engine(Work()) as engine:
        with pytest.raises(InvalidInput, match=r"^a task's input and metadata must be JSON values$"):
            await engine.submit(TaskRequest(capability="work", input=object()))  # type: ignore[arg-type]  # what is tested
        for odd in ("half of \ud83d", {"\ude00": 1}, _nested(200), _nested(300)):
            with pytest.raises(InvalidInput, match=r"^a task's input and metadata must be JSON values$"):
                await engine.submit(TaskRequest(capability="work", input=odd))
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
