"""What is the embedded engine's own: retention, memory, the context that a task runs in."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_ai.errors import EngineUnavailable, QueueFull, TaskNotFound
from weaver_ai.tasks import EmbeddedEngine, EngineHealth, TaskContext, TaskOutcome, TaskRecord, TaskRequest
from weaver_ai.tasks.entries import Entries, Entry
from weaver_ai.tasks.event_log import EventLog
from weaver_ai.tasks.payloads import IDEMPOTENCY_SECONDS


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def echo(context: TaskContext) -> TaskOutcome:
    for number in range(5):
        await context.emit("progress", {"number": number})
    return TaskOutcome(result=context.record.input)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def engine(clock: Clock) -> AsyncIterator[EmbeddedEngine]:
    engine = EmbeddedEngine(echo, ttl_seconds=60.0, max_finished=3, max_keys=2, clock=clock)
    await engine.start()
    yield engine
    await engine.drain(0)


async def done(engine: EmbeddedEngine, value: str, key: str | None = None) -> TaskRecord:
    task = await engine.submit(TaskRequest(capability="echo", input=value, idempotency_key=key))
    return await engine.result(task.id, timeout_seconds=5)


async def gone(engine: EmbeddedEngine, *records: TaskRecord) -> list[bool]:
    found = []
    for record in records:
        try:
            await engine.status(record.id)
            found.append(False)
        except TaskNotFound:
            found.append(True)
    return found


async def test_before_its_start_it_takes_nothing(clock: Clock) -> None:
    engine = EmbeddedEngine(echo, clock=clock)
    with pytest.raises(EngineUnavailable, match=r"^the task engine hasn't started$"):
        await engine.submit(TaskRequest(capability="echo", input="x"))
    assert await engine.health() == EngineHealth(state="down", reason="not started")


async def test_a_second_start_changes_nothing(engine: EmbeddedEngine) -> None:
    await engine.start()
    assert (await done(engine, "x")).result == "x"


async def test_a_finished_task_can_be_read_until_its_time_is_over(engine: EmbeddedEngine, clock: Clock) -> None:
    record = await done(engine, "x")
    clock.now += 59.9
    assert await engine.status(record.id) == record
    clock.now += 0.1
    assert await gone(engine, record) == [True]


async def test_only_so_many_finished_tasks_are_kept(engine: EmbeddedEngine) -> None:
    records = [await done(engine, str(number)) for number in range(5)]
    assert await gone(engine, *records) == [True, True, False, False, False]


async def test_a_key_is_honoured_for_a_day_whatever_the_time_to_live(engine: EmbeddedEngine, clock: Clock) -> None:
    record = await done(engine, "x", key="k")
    clock.now += IDEMPOTENCY_SECONDS - 1
    assert await done(engine, "x", key="k") == record
    clock.now += 1
    again = await done(engine, "other", key="k")
    assert again.id != record.id
    assert await gone(engine, record) == [True]


async def test_tasks_with_keys_are_kept_and_give_up_their_events(clock: Clock) -> None:
    engine = EmbeddedEngine(echo, max_finished=1, max_whole=2, clock=clock)
    await engine.start()
    first, second = [await done(engine, "x", key=key) for key in ("a", "b")]
    await done(engine, "y")
    await done(engine, "z")
    assert await gone(engine, first, second) == [False, False]
    assert await done(engine, "x", key="a") == first
    assert [event.type async for event in engine.events(first.id)] == ["events.dropped", "task.succeeded"]
    assert len([event async for event in engine.events(second.id)]) == 8
    await engine.drain(0)


async def test_only_so_many_keys_are_honoured(engine: EmbeddedEngine, clock: Clock) -> None:
    for key in ("a", "b"):
        await done(engine, "x", key=key)
    with pytest.raises(QueueFull, match=r"^2 idempotency keys are in use already$"):
        await done(engine, "x", key="c")
    assert (await done(engine, "x")).state == "succeeded"
    clock.now += IDEMPOTENCY_SECONDS
    assert (await done(engine, "x", key="c")).state == "succeeded"


async def test_nothing_is_left_of_many_tasks_once_they_have_expired(engine: EmbeddedEngine, clock: Clock) -> None:
    for number in range(50):
        await done(engine, str(number))
        assert len(engine._entries._kept) <= 3
    await done(engine, "x", key="k")
    clock.now += IDEMPOTENCY_SECONDS
    assert await gone(
        engine, TaskRecord(id="?", capability="", input=None, created_at=(await done(engine, "x")).created_at)
    ) == [True]
    entries = engine._entries
    held = [entries.by_id, entries._kept, engine._running, entries._whole, entries._keys]  # what memory is held by
    assert [len(part) for part in held] == [1, 1, 0, 1, 0]


async def chatty(context: TaskContext) -> TaskOutcome:
    """Hundreds of pieces of an answer, which the result has as a whole."""
    for _ in range(300):
        await context.emit("text.delta", {"text": "word ", "step": "1"})
    return TaskOutcome(result="word " * 300)


async def test_many_answers_hold_no_more_memory_than_they_may() -> None:
    engine = EmbeddedEngine(chatty, max_bytes=2_000_000)
    await engine.start()
    await done(engine, "x")
    tracemalloc.start()
    try:
        records = [await done(engine, str(number)) for number in range(100)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 4_000_000, "without a bound it is 12 MB"
    assert await gone(engine, *records[-50:]) == [False] * 50
    whole = [event.type async for event in engine.events(records[-1].id)]
    assert (len(whole), whole[-1]) == (303, "task.succeeded")
    assert [event.type async for event in engine.events(records[0].id)] == ["events.dropped", "task.succeeded"]
    await engine.drain(0)


async def test_what_is_large_goes_the_oldest_first_and_the_latest_stays_however_large() -> None:
    engine = EmbeddedEngine(echo, max_bytes=250_000)
    await engine.start()
    records = [await done(engine, str(number) * 50_000) for number in range(4)]
    assert await gone(engine, *records) == [True, True, False, False]
    huge = await done(engine, "x" * 300_000)
    assert await gone(engine, *records, huge) == [True] * 4 + [False]
    assert (await done(engine, "x")).state == "succeeded"
    await engine.drain(0)


async def test_what_may_not_go_leaves_no_room_for_more(clock: Clock) -> None:
    engine = EmbeddedEngine(echo, max_bytes=250_000, clock=clock)
    await engine.start()
    kept = [await done(engine, str(number) * 100_000, key=str(number)) for number in range(2)]
    with pytest.raises(QueueFull) as full:
        await done(engine, "x")
    assert (full.value.message, full.value.retry_after) == (
        "tasks hold 0 MB of memory, and no more may be taken",
        60.0,
    )
    assert await done(engine, "0" * 100_000, key="0") == kept[0]
    clock.now += IDEMPOTENCY_SECONDS
    assert (await done(engine, "x")).state == "succeeded"
    await engine.drain(0)


async def test_a_running_task_s_large_events_are_bounded_too() -> None:
    log = EventLog(1_000, max_bytes=100_000)
    for number in range(10):
        log.add("tool.result", {"result": str(number) * 30_000})
    log.add("task.succeeded", {"result": "x" * 200_000}, last=True)
    assert [(event.id, event.type) async for event in log.read(0)] == [
        ("10", "events.dropped"),
        ("11", "task.succeeded"),
    ]
    assert [(event.id, event.type) async for event in log.read(10)] == [("11", "task.succeeded")]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.booleans(), st.integers(0, 30_000)),
            st.tuples(st.just("end"), st.integers(0, 30_000), st.integers(0, 5)),
            st.tuples(st.just("wait"), st.sampled_from((10.0, 50_000.0, 90_000.0)), st.none()),
        ),
        max_size=40,
    )
)
def test_what_is_held_is_what_is_counted(acts: list[tuple[str, Any, Any]]) -> None:
    clock = Clock()
    entries = Entries(ttl_seconds=60.0, max_finished=5, max_whole=3, max_keys=99, max_bytes=90_000, clock=clock)
    running: list[Entry] = []
    for number, (act, one, other) in enumerate(acts):
        if act == "wait":
            clock.now += one
        elif act == "add":
            key = f"key {number}" if one else None
            record = TaskRecord(
                id=str(number), capability="c", input="x" * other, created_at=datetime.now(UTC), idempotency_key=key
            )
            running.append(Entry(record=record, events=EventLog(10)))
            entries.add(running[-1], "fingerprint")
        elif running:
            entry = running.pop(0)
            for _ in range(other):
                entry.events.add("progress", {"text": "x" * 1_000})
            entry.record = entry.record.but(state="succeeded", result="x" * one)
            entry.events.add("task.succeeded", {}, last=True)
            entries.ended(entry)
        counted = (entries.held_bytes, entries._kept_bytes)
        free = sum(entry.weighed() for entry in entries._kept.values())
        held = sum(entry.weighed() for entry in entries.by_id.values()) - free
        assert counted == (held, free)
        assert len(entries._kept) <= 1 or held + free <= 90_000
        assert set(entries._whole) <= set(entries.by_id)
        assert len(entries._whole) <= 3


async def test_a_task_sees_nothing_of_the_one_who_submitted_it() -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="nobody")
    seen: list[str] = []

    async def handler(context: TaskContext) -> TaskOutcome:
        seen.append(tenant.get())
        tenant.set("the task")
        return TaskOutcome()

    engine = EmbeddedEngine(handler)
    await engine.start()
    tenant.set("the caller")
    for _ in range(2):
        task = await engine.submit(TaskRequest(capability="c", input=None))
        await engine.result(task.id, timeout_seconds=5)
    await engine.drain(0)
    assert (seen, tenant.get()) == (["nobody", "nobody"], "the caller")


async def test_the_wait_that_a_full_queue_names_follows_how_long_tasks_take() -> None:
    clock = Clock()

    async def slow(context: TaskContext) -> TaskOutcome:
        clock.now += 30.0
        return TaskOutcome()

    engine = EmbeddedEngine(slow, concurrency=1, queue_size=1, clock=clock)
    await engine.start()
    for _ in range(20):
        task = await engine.submit(TaskRequest(capability="c", input=None))
        await engine.result(task.id, timeout_seconds=5)
    await engine.submit(TaskRequest(capability="c", input=None))
    await engine.submit(TaskRequest(capability="c", input=None))
    with pytest.raises(QueueFull) as full:
        await engine.submit(TaskRequest(capability="c", input=None))
    await engine.drain(5)
    assert full.value.retry_after == pytest.approx(30.0, rel=0.05)


async def test_the_loop_s_end_ends_its_tasks_too() -> None:
    """Who cancels every task of the loop, as asyncio.run does at its end, leaves no record open."""
    began = asyncio.Event()

    async def handler(context: TaskContext) -> TaskOutcome:
        began.set()
        await asyncio.Event().wait()
        return TaskOutcome()

    engine = EmbeddedEngine(handler)
    await engine.start()
    task = await engine.submit(TaskRequest(capability="c", input=None))
    await began.wait()
    (attempt,) = [other for other in asyncio.all_tasks() if other.get_name() == f"weaver task {task.id}"]
    attempt.cancel()
    assert (await engine.result(task.id, timeout_seconds=5)).state == "cancelled"
