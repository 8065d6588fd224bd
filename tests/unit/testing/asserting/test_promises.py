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
    assert promises.body_ended() == [
        "logs.eventually.some('b') was never awaited, so it checked nothing: write await logs.eventually.some(...)"
    ]
    assert promises.body_ended() == []
    assert inspect.getcoroutinestate(left) == inspect.CORO_CLOSED
    may_end.set()
    assert await asyncio.wait_for(goes_on, 30) == 7
    assert promises.test_ended() == []


async def test_what_a_task_is_at_must_have_an_answer_when_the_test_ends() -> None:
    promises, never = Promises(), asyncio.Event()

    def task(asked: str) -> asyncio.Task[bool]:
        return asyncio.create_task(promises.make("spans", "one", asked, never.wait))

    fixtures = task("'of a fixture'")
    promises.body_begins()
    given_up, goes_on = task("'given up'"), task("'goes on'")
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up])
    assert promises.body_ended() == []
    for each in (fixtures, goes_on):  # as the loop is closed
        each.cancel()
    await asyncio.wait([fixtures, goes_on])
    assert promises.test_ended() == [
        "spans.eventually.one('goes on') had no answer when the test ended: await the task that was made of it"
    ]


async def test_a_fixture_may_await_at_its_end_what_it_asked_at_its_beginning() -> None:
    promises, ready = Promises(), asyncio.Event()
    ready.set()
    awaited, forgotten = (promises.make("spans", "one", asked, ready.wait) for asked in ("'a'", "'b'"))
    promises.body_begins()
    assert promises.body_ended() == []
    assert await awaited
    assert promises.test_ended() == [
        "spans.eventually.one('b') was never awaited, so it checked nothing: write await spans.eventually.one(...)"
    ]
    assert inspect.getcoroutinestate(forgotten) == inspect.CORO_CLOSED
