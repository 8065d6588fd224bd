"""What runs while the client stays, and what a drain does to it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from weaver_ai.errors import Draining, ProviderTimeout
from weaver_ai.gateway.disconnect import run_while_connected
from weaver_ai.gateway.lifecycle import Lifecycle
from weaver_ai.gateway.shutdown import Budget


def _request(left: asyncio.Event) -> Request:
    async def receive() -> Any:
        await left.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)


async def test_work_gives_its_result() -> None:
    async def work() -> int:
        return 7

    assert await run_while_connected(_request(asyncio.Event()), Lifecycle(), work()) == 7


async def test_work_gives_its_error() -> None:
    async def work() -> int:
        raise ProviderTimeout("late")

    with pytest.raises(ProviderTimeout):
        await run_while_connected(_request(asyncio.Event()), Lifecycle(), work())


class Work:
    """Work without end that notes how it was treated."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.unwound = False

    async def __call__(self) -> int:
        self.begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            self.unwound = True
        return 0


async def test_a_client_that_leaves_cancels_the_work_and_waits_for_it() -> None:
    left, work, lifecycle = asyncio.Event(), Work(), Lifecycle()
    answering = asyncio.create_task(run_while_connected(_request(left), lifecycle, work()))
    await work.begun.wait()
    left.set()
    with pytest.raises(HTTPException) as caught:
        await asyncio.wait_for(answering, 1)
    assert caught.value.status_code == 499
    assert work.unwound
    assert lifecycle.running == 0


async def test_a_server_that_cancels_the_request_cancels_the_work() -> None:
    work = Work()
    answering = asyncio.create_task(run_while_connected(_request(asyncio.Event()), Lifecycle(), work()))
    await work.begun.wait()
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert work.unwound


async def test_a_drain_waits_for_work_that_ends_in_time() -> None:
    lifecycle, go = Lifecycle(), asyncio.Event()

    async def work() -> str:
        await go.wait()
        return "done"

    answering = asyncio.create_task(run_while_connected(_request(asyncio.Event()), lifecycle, work()))
    await asyncio.sleep(0)
    draining = asyncio.create_task(lifecycle.drain(5))
    await asyncio.sleep(0.01)
    assert not draining.done()
    go.set()
    assert await draining == 0
    assert await answering == "done"


async def test_a_drain_cancels_what_the_grace_does_not_suffice_for() -> None:
    lifecycle, work = Lifecycle(), Work()
    answering = asyncio.create_task(run_while_connected(_request(asyncio.Event()), lifecycle, work()))
    await work.begun.wait()
    assert await lifecycle.drain(0.01) == 1
    with pytest.raises(Draining):
        await answering
    assert work.unwound


async def test_work_that_ends_in_the_tick_in_which_the_grace_does_is_not_cancelled() -> None:
    lifecycle = Lifecycle()
    loop = asyncio.get_running_loop()
    ended = asyncio.create_task(asyncio.Event().wait())
    with lifecycle.track(ended):
        draining = asyncio.create_task(lifecycle.drain(0.0))
        # The grace, which is over at once, cancels the drain in the first tick; the work ends in the same one.
        loop.call_soon(lifecycle._running.discard, ended)
        assert await draining == 0
    ended.cancel()


async def test_an_idle_process_drains_at_once() -> None:
    lifecycle = Lifecycle()
    assert await asyncio.wait_for(lifecycle.drain(60), 1) == 0
    assert lifecycle.phase == "draining"


def test_nothing_is_admitted_from_the_signal_on() -> None:
    lifecycle = Lifecycle()
    lifecycle.phase = "serving"
    lifecycle.admit()
    lifecycle.refuse()
    with pytest.raises(Draining) as caught:
        lifecycle.admit()
    assert caught.value.retry_after == 1


def test_a_stopped_process_stays_stopped() -> None:
    lifecycle = Lifecycle()
    lifecycle.phase = "stopped"
    lifecycle.refuse()
    assert lifecycle.phase == "stopped"


@pytest.mark.parametrize("grace", [0.0, 0.5, 5.0, 20.0, 300.0])
def test_the_parts_of_the_grace_are_never_more_than_it(grace: float) -> None:
    budget = Budget(grace)
    # requests wait for work and unwind, then cancelled ones unwind, then telemetry leaves, and the process still ends
    assert budget.work + 2 * budget.unwind + budget.flush <= grace
    assert budget.work >= grace * 0.6 - 1e-9
