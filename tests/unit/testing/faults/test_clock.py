import asyncio
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta
from types import ModuleType
from zoneinfo import ZoneInfo

import anyio
import pytest

from weaver_ai.errors import MissingExtra
from weaver_ai.testing.capture.origin import Origin
from weaver_ai.testing.capture.recording import Recording
from weaver_ai.testing.faults.absent import without
from weaver_ai.testing.faults.clock import controlled, frozen, skewed

HOUR = 3600.0
REAL = (time.perf_counter,)  # in a tuple, where a frozen clock doesn't find it


@pytest.fixture
def by_name(monkeypatch):
    """A module of somebody's that took the functions by name."""
    module = ModuleType("somebodys_module")
    module.sleep, module.now, module.steady, module.timer = time.sleep, time.time, time.monotonic, time.perf_counter
    monkeypatch.setitem(sys.modules, "somebodys_module", module)
    return module


def reading():
    return (
        time.time(),
        time.time_ns(),
        time.monotonic(),
        time.monotonic_ns(),
        time.perf_counter(),
        time.perf_counter_ns(),
    )


def test_time_stands_still_and_moves_by_hand():
    with frozen() as clock:
        before = reading()
        assert reading() == before
        clock.advance(90)
        after = reading()
        assert [later - earlier for earlier, later in zip(before, after, strict=True)] == [
            pytest.approx(90, abs=1e-6),
            90_000_000_000,
            pytest.approx(90, abs=1e-6),
            90_000_000_000,
            pytest.approx(90, abs=1e-6),
            90_000_000_000,
        ]


def test_every_way_to_ask_for_the_time_of_day_is_answered_alike():
    def by_default(now=time.time):
        return now()

    with frozen() as clock:
        clock.advance(100 * 365 * 24 * HOUR)
        seconds = clock.time()
        assert by_default() == seconds == time.clock_gettime(time.CLOCK_REALTIME)
        assert datetime.now(UTC).timestamp() == datetime.now().timestamp() == pytest.approx(seconds, abs=1e-6)  # noqa: DTZ005
        assert datetime.now(ZoneInfo("Asia/Tokyo")) == datetime.now(UTC)
        assert date.today() == datetime.fromtimestamp(seconds).date()  # noqa: DTZ011, DTZ006
        assert time.strftime("%Y", time.gmtime()) == str(datetime.now(UTC).year)
        assert datetime.now(UTC).year >= 2100
        before = datetime.now(UTC)
        time.sleep(90)
        assert datetime.now(UTC) - before == timedelta(seconds=90)
    assert datetime.now(UTC).year < 2100


def test_everything_is_put_back(by_name):
    originals = (time.monotonic, time.monotonic_ns, time.perf_counter, time.perf_counter_ns, time.sleep)
    loops = (asyncio.BaseEventLoop.time, asyncio.BaseEventLoop._run_once, asyncio.BaseEventLoop.call_later)
    sleep = by_name.sleep
    with frozen():
        assert time.monotonic is not originals[0]
        assert by_name.sleep is not sleep
    assert (time.monotonic, time.monotonic_ns, time.perf_counter, time.perf_counter_ns, time.sleep) == originals
    first = time.time_ns()
    assert time.time_ns() >= first > 0
    assert (
        asyncio.BaseEventLoop.time,
        asyncio.BaseEventLoop._run_once,
        asyncio.BaseEventLoop.call_later,
    ) == loops
    assert by_name.sleep is sleep
    assert controlled() is None


def test_sleeping_moves_the_clock_and_costs_nothing():
    began = REAL[0]()
    with frozen() as clock:
        before = time.monotonic()
        time.sleep(HOUR)
        assert time.monotonic() - before == pytest.approx(HOUR)
        assert clock.slept == [HOUR]
    assert REAL[0]() - began < 30


def test_who_took_a_function_by_name_sees_the_same_clock(by_name):
    with frozen() as clock:
        before = by_name.now()
        by_name.sleep(60)
        assert by_name.now() - before == pytest.approx(60, abs=1e-6)
        assert (by_name.steady(), by_name.timer()) == (clock.monotonic(), clock.perf_counter())


def test_asyncio_sleeps_pass_in_the_order_of_their_ends():
    woken = []

    async def sleeper(seconds):
        await asyncio.sleep(seconds)
        woken.append((seconds, time.monotonic()))

    async def main():
        began = time.monotonic()
        await asyncio.gather(sleeper(5), sleeper(HOUR), sleeper(3))
        return [(seconds, round(at - began, 6)) for seconds, at in woken]

    with frozen() as clock:
        assert asyncio.run(main()) == [(3, 3.0), (5, 5.0), (HOUR, HOUR)]
        assert clock.slept == [5, HOUR, 3]


def test_anyio_sleeps_as_well():
    async def main():
        before = time.time()
        with anyio.move_on_after(10) as scope:
            await anyio.sleep(HOUR)
        return scope.cancelled_caught, round(time.time() - before, 3)

    with frozen():
        assert anyio.run(main) == (True, 10.0)


def test_a_timeout_fires_when_the_clock_has_reached_it():
    async def main(clock):
        waiting = asyncio.ensure_future(asyncio.wait_for(asyncio.Event().wait(), HOUR))
        await asyncio.sleep(0)
        clock.advance(HOUR - 1)
        await asyncio.sleep(0)
        assert not waiting.done()
        clock.advance(1)
        with pytest.raises(TimeoutError):
            await waiting

    with frozen() as clock:
        asyncio.run(main(clock))


def test_a_timeout_that_nothing_else_waits_for_takes_real_time_and_ends():
    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.05)

    began = REAL[0]()
    with frozen():
        asyncio.run(main())
    assert REAL[0]() - began >= 0.05


def test_work_in_threads_is_not_overtaken_by_a_sleep():
    async def main():
        loop = asyncio.get_running_loop()
        worked = loop.run_in_executor(None, lambda: "worked")
        done, _ = await asyncio.wait(
            [worked, asyncio.ensure_future(asyncio.sleep(HOUR, "slept"))], return_when=asyncio.FIRST_COMPLETED
        )
        return [task.result() for task in done]

    with frozen():
        assert asyncio.run(main()) == ["worked"]


def test_a_clock_can_be_left_to_the_test_alone():
    async def main(clock):
        task = asyncio.ensure_future(asyncio.sleep(10))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        clock.advance(10)
        await task

    with frozen(sleeps=False) as clock:
        asyncio.run(main(clock))


def test_another_threads_sleep_lasts_until_the_clock_is_there():
    woken = threading.Event()

    def sleeper():
        time.sleep(60)
        woken.set()

    with frozen() as clock:
        thread = threading.Thread(target=sleeper)
        thread.start()
        clock.advance(59)
        assert not woken.wait(0.05)
        clock.advance(1)
        assert woken.wait(5)
        thread.join()


def test_another_threads_sleep_ends_with_the_block():
    with frozen():
        thread = threading.Thread(target=time.sleep, args=(HOUR,))
        thread.start()
    thread.join(5)
    assert not thread.is_alive()


def test_loops_of_other_threads_keep_real_time():
    slept = []

    def elsewhere():
        began = REAL[0]()
        asyncio.run(asyncio.sleep(0.05))
        slept.append(REAL[0]() - began)

    with frozen() as clock:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join(5)
        assert clock.slept == []
    assert slept[0] >= 0.05


def test_time_does_not_go_back():
    with frozen() as clock, pytest.raises(ValueError, match="a clock moves forward only; got -1 seconds"):
        clock.advance(-1)


def test_it_can_be_handed_to_code_that_takes_a_clock():
    with frozen() as clock:
        read = clock.monotonic
        before = read()
        clock.advance(5)
        assert read() - before == pytest.approx(5)


def test_spans_have_the_controlled_times():
    from opentelemetry.sdk.trace import TracerProvider

    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    with frozen() as clock:
        began = clock.time_ns()
        with tracer.start_as_current_span("nap") as span:
            time.sleep(30)
    assert (span.start_time, span.end_time) == (began, began + 30_000_000_000)


@pytest.mark.parametrize("wrong", [HOUR, -HOUR])
def test_a_skewed_clock_is_wrong_on_the_wall_only(wrong, by_name):
    wall, steady = time.time(), time.monotonic()
    with skewed(wrong):
        assert time.time() - wall == pytest.approx(wrong, abs=5)
        assert time.time_ns() / 1e9 - wall == pytest.approx(wrong, abs=5)
        assert by_name.now() - wall == pytest.approx(wrong, abs=5)
        assert time.monotonic() - steady < 5
        one = time.time()
        time.sleep(0.01)
        assert time.time() > one
    assert time.time() - wall < 5


@pytest.mark.parametrize("wrong", [HOUR, -HOUR])
def test_a_frozen_clock_can_be_wrong_too(wrong):
    with frozen() as clock:
        wall, steady = time.time(), time.monotonic()
        with skewed(wrong):
            assert datetime.now(UTC).timestamp() == pytest.approx(wall + wrong, abs=1e-6)
            clock.advance(1)
        assert (time.time() - wall, time.monotonic() - steady) == (pytest.approx(1, abs=1e-6), pytest.approx(1))


def test_datetime_is_as_wrong_as_the_rest():
    before = datetime.now(UTC)
    with skewed(-HOUR):
        assert datetime.now(UTC) - before < timedelta(seconds=-HOUR + 60)


async def failing(waits):
    with pytest.raises(RuntimeError) as refused:
        await waits()
    return str(refused.value)


def test_uvloop_says_that_it_does_not_follow():
    uvloop = pytest.importorskip("uvloop")

    async def timed():
        async with asyncio.timeout(5):
            await asyncio.sleep(0)

    async def main():
        return [await failing(waits) for waits in (lambda: asyncio.sleep(HOUR), timed)]

    said = "a frozen clock can't move uvloop's timers: run this test on asyncio's own loop, "
    said += "or hand frozen_clock.monotonic to what takes a clock"
    with frozen(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main()) == [said, said]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(asyncio.sleep(0.001, "put back")) == "put back"


def test_uvloop_in_another_thread_keeps_real_time():
    uvloop = pytest.importorskip("uvloop")
    woken = []

    def elsewhere():
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            woken.append(runner.run(asyncio.sleep(0.001, "woken")))

    with frozen():
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join(30)
    assert woken == ["woken"]


def test_trio_says_that_it_does_not_follow():
    trio = pytest.importorskip("trio")

    async def main():
        with trio.fail_after(30):  # its own clock goes on
            return [await failing(lambda: trio.sleep(HOUR)), await failing(lambda: anyio.sleep(HOUR))]

    said = "a frozen clock can't move trio's: use trio.testing.MockClock"
    with frozen():
        assert trio.run(main) == [said, said]

    async def after():
        await trio.sleep(0.001)
        return "put back"

    assert trio.run(after) == "put back"


@pytest.mark.parametrize("controlled_clock", [frozen, lambda: skewed(1)])
def test_without_the_extra_it_says_which(controlled_clock):
    with without("time_machine"), pytest.raises(MissingExtra) as missing, controlled_clock():
        pass
    assert missing.value.message == (
        "a frozen or skewed clock needs the extra 'fakes': pip install 'weaver-ai[testing,fakes]'"
    )
    assert controlled() is None


def test_a_recording_dates_its_moments_as_other_processes_do():
    recording = Recording(Origin("test_it", "test"))
    with frozen() as clock:
        clock.advance(HOUR)
        assert recording.next_sequence == 0
    ((_, marked),) = recording._marks
    assert 0 <= marked - recording.began_at < 60_000_000_000
