"""Waiting under each kind of test, woken by spans of this thread, of another one, and of tasks of the loop."""

import asyncio
import threading
import time

import anyio
import pytest
import trio

from tests.unit.testing.asserting.recorder import Recorder
from weaver_ai.testing import ExpectationFailed, Spans, span

LONG = 20.0  # a wait that isn't woken fails the test's own limit on time


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def spans(recorder):
    return Spans(recorder, timeout=LONG)


def soon(action, delay=0.02):
    timer = threading.Timer(delay, action)
    timer.start()
    return timer


def test_it_is_woken_by_a_span_that_ends_in_another_thread(recorder, spans):
    number = recorder.begin("publish")
    timer = soon(lambda: recorder.end(number))
    began = time.monotonic()
    assert spans.wait.one("publish").name == "publish"
    assert time.monotonic() - began < LONG / 4
    timer.join()
    assert recorder.listeners == []


def test_a_span_that_has_ended_needs_no_wait(recorder, spans):
    recorder.end(recorder.begin("publish"))
    recorder.begin("publish again")
    assert spans.wait.one("publish*").name == "publish"
    assert [found.name for found in spans.wait.some("publish*")] == ["publish"]
    assert spans.wait.first("publish*").name == "publish"
    assert spans.wait.one("publish*", open=True).name == "publish again"


def test_a_pattern_that_says_open_waits_for_an_open_span(recorder, spans):
    timer = soon(lambda: recorder.begin("publish"))
    assert spans.wait.one(span("publish", open=True)).is_open
    timer.join()


def test_in_order_waits_for_all(recorder, spans):
    def emit():
        for name in ("a", "b"):
            recorder.end(recorder.begin(name))

    timer = soon(emit)
    assert [found.name for found in spans.wait.in_order("a", "b")] == ["a", "b"]
    timer.join()


def test_several_matches_fail_at_once(recorder, spans):
    for _ in range(2):
        recorder.end(recorder.begin("publish"))
    began = time.monotonic()
    with pytest.raises(ExpectationFailed, match=r"spans\.wait\.one\('publish'\): 2 spans match, not one"):
        spans.wait.one("publish")
    assert time.monotonic() - began < LONG / 4


def test_a_timeout_explains_and_leaves_no_listener(recorder, spans):
    recorder.begin("publish")
    with pytest.raises(ExpectationFailed, match=r"matches after 0\.01s; 'publish' is still open"):
        spans.wait(0.01).one("publish")
    assert recorder.listeners == []


def test_settle_waits_for_open_spans_and_for_a_quiet_moment(recorder, spans):
    number = recorder.begin("outer")

    def end():
        recorder.end(number)
        soon(lambda: recorder.end(recorder.begin("late")), 0.005)

    soon(end)
    spans.settle()
    assert [found.name for found in spans] == ["outer", "late"]


def test_settle_names_what_is_still_open(recorder, spans):
    recorder.begin("outer")
    with pytest.raises(ExpectationFailed, match=r"spans\.settle\(\): 1 span is still open after 0\.01s: 'outer'"):
        spans.settle(0.01)


def test_settle_of_a_scope_minds_its_own_spans(recorder, spans):
    recorder.begin("outside")
    with spans.scope() as act:
        recorder.end(recorder.begin("inside"))
    act.settle(1)
    with pytest.raises(ExpectationFailed):
        spans.settle(0.01)


async def publish(recorder, sleep):
    number = recorder.begin("publish")
    await sleep(0.02)
    recorder.end(number)


async def test_asyncio(recorder, spans):
    task = asyncio.create_task(publish(recorder, asyncio.sleep))
    found = await spans.eventually.one("publish")
    assert found.duration is not None
    await task
    assert recorder.listeners == []


async def test_asyncio_is_woken_from_a_thread(recorder, spans):
    timer = soon(lambda: recorder.end(recorder.begin("publish")))
    began = time.monotonic()
    assert (await spans.eventually.first("publish")).name == "publish"
    assert time.monotonic() - began < LONG / 4
    assert len(await spans.eventually.some("publish")) == 1
    assert len(await spans.eventually.in_order("publish")) == 1
    timer.join()


async def test_asyncio_settles(recorder, spans):
    task = asyncio.create_task(publish(recorder, asyncio.sleep))
    await asyncio.sleep(0)
    await spans.eventually.settle()
    assert not spans.one("publish").is_open
    await task


async def test_asyncio_times_out(recorder, spans):
    with pytest.raises(
        ExpectationFailed, match=r"spans\.eventually\.one\('publish'\): nothing was captured after 0\.01s"
    ):
        await spans.eventually(timeout=0.01).one("publish")
    recorder.begin("outer")
    with pytest.raises(ExpectationFailed, match="is still open after"):
        await spans.eventually(0.01).settle()
    assert recorder.listeners == []


async def test_a_cancelled_wait_leaves_no_listener(recorder, spans):
    task = asyncio.create_task(spans.eventually.one("publish"))
    await asyncio.sleep(0.01)
    assert len(recorder.listeners) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert recorder.listeners == []


async def test_a_blocking_wait_in_a_loop_says_what_to_do(spans):
    with pytest.raises(
        ExpectationFailed, match=r"the event loop stood still meanwhile: await spans\.eventually instead"
    ):
        spans.wait(0.01).one("publish")


def test_trio(recorder, spans):
    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish, recorder, trio.sleep)
            assert (await spans.eventually.one("publish")).name == "publish"
            timer = soon(lambda: recorder.end(recorder.begin("from a thread")))
            began = time.monotonic()
            assert (await spans.eventually.one("from a thread")).name == "from a thread"
            assert time.monotonic() - began < LONG / 4
            await trio.to_thread.run_sync(timer.join)
            await spans.eventually.settle()
            with pytest.raises(ExpectationFailed):
                await spans.eventually(0.01).one("nothing")
            with pytest.raises(ExpectationFailed, match=r"await spans\.eventually instead"):
                spans.wait(0.01).one("nothing")

    trio.run(main)
    assert recorder.listeners == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_anyio(recorder, spans, backend):
    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(publish, recorder, anyio.sleep)
            assert (await spans.eventually.one("publish")).name == "publish"

    anyio.run(main, backend=backend)


def test_a_span_that_ends_after_the_loop_is_closed_hurts_nobody(recorder, spans):
    """The wait is over, but its thread-safe call may still be on its way."""
    from weaver_ai.testing.asserting.alarm import _alarm

    alarms = []

    async def main():
        alarms.append(_alarm())

    asyncio.run(main())
    trio.run(main)
    for alarm in alarms:
        alarm.ring()
