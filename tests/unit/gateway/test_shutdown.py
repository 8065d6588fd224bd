"""A signal to stop, in this process: what the drain sees, and what uvicorn is told."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextvars import ContextVar

import pytest
import uvicorn

from weaver_ai.gateway import shutdown
from weaver_ai.gateway.shutdown import Budget, drain_before_exit

REQUEST: ContextVar[str | None] = ContextVar("REQUEST", default=None)


@pytest.fixture
def server() -> Iterator[uvicorn.Server]:
    """A uvicorn that has the signals, as while it serves."""
    made = uvicorn.Server(uvicorn.Config("unused:app", log_config=None))
    before = {number: signal.signal(number, made.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def terminated(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """After how many seconds this process would have got the signal again."""
    found: list[float] = []
    monkeypatch.setattr(shutdown, "_terminate_after", found.append)
    return found


async def _interrupted(number: signal.Signals, server: uvicorn.Server) -> list[str | None]:
    """Send a signal out of a request; the request ids that the drain saw."""
    seen: list[str | None] = []
    events: list[str] = []

    async def drain() -> None:
        seen.append(REQUEST.get())
        assert not server.should_exit  # it still answers
        events.append("drained")

    async def request() -> None:
        REQUEST.set("r-1")
        signal.raise_signal(number)

    with drain_before_exit(begin=lambda: events.append("refuses"), drain=drain, leave_seconds=7):
        await asyncio.create_task(request())
        async with asyncio.timeout(5):
            while not server.should_exit:
                await asyncio.sleep(0)
    assert events == ["refuses", "drained"]
    return seen


async def test_a_drain_is_of_no_request(server: uvicorn.Server, terminated: list[float]) -> None:
    assert await _interrupted(signal.SIGTERM, server) == [None]


async def test_what_outlives_a_sigterm_gets_it_again(server: uvicorn.Server, terminated: list[float]) -> None:
    await _interrupted(signal.SIGTERM, server)
    assert terminated == [7]
    assert signal.getsignal(signal.SIGTERM) == server.handle_exit  # it is uvicorn's again


async def test_an_interrupt_is_a_persons_who_can_send_another(server: uvicorn.Server, terminated: list[float]) -> None:
    await _interrupted(signal.SIGINT, server)
    assert terminated == []


async def test_without_a_signal_nothing_happens(server: uvicorn.Server, terminated: list[float]) -> None:
    async def drain() -> None:
        raise AssertionError("nobody asked for it")

    with drain_before_exit(begin=lambda: None, drain=drain, leave_seconds=7):
        assert signal.getsignal(signal.SIGTERM) != server.handle_exit
    assert (terminated, server.should_exit) == ([], False)


@pytest.mark.parametrize(("own", "then"), [(None, 4), (30, 30)])
async def test_uvicorn_waits_for_half_a_request_only_so_long(
    server: uvicorn.Server, terminated: list[float], own: int | None, then: int
) -> None:
    server.config.timeout_graceful_shutdown = own
    await _interrupted(signal.SIGTERM, server)
    assert server.config.timeout_graceful_shutdown == then


@pytest.mark.parametrize("grace", [0.0, 1.0, 20.0, 600.0])
def test_the_process_has_time_to_leave_whatever_the_grace(grace: float) -> None:
    assert 1 <= Budget(grace).leave <= 3
