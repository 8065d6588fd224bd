"""Which questions nobody awaited; what a test sees of it is in tests/integration/plugin/test_forgotten_await.py."""

from __future__ import annotations

import asyncio
import inspect

from weaver_ai.testing.asserting.promises import Promises


async def test_only_what_never_began_is_forgotten_and_what_goes_on_is_left_alone() -> None:
    promises, may_end = Promises(), asyncio.Event()

    async def answer() -> int:
        await may_end.wait()
        return 7

    goes_on = asyncio.create_task(promises.make("spans", "one", "'a'", answer))
    await asyncio.sleep(0)
    left = promises.make("logs", "some", "'b'", answer)
    never = promises.make("spans", "one", "'c'", answer)
    never.close()
    assert promises.forgotten() == [
        "logs.eventually.some('b') was never awaited, so it checked nothing: write await logs.eventually.some(...)"
    ]
    assert promises.forgotten() == []
    assert inspect.getcoroutinestate(left) == inspect.CORO_CLOSED
    may_end.set()
    assert await asyncio.wait_for(goes_on, 30) == 7
