"""Events on their way: in order, once, together, and never in the way of the attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from weaver_ai.errors import EngineUnavailable
from weaver_ai.tasks.redis import outbox
from weaver_ai.tasks.redis.outbox import Event, Outbox


class Server:
    """Takes events as the one behind an engine does: by number, each once."""

    def __init__(self) -> None:
        self.held: dict[int, Event] = {}
        self.writes: list[int] = []
        self.away = False
        self.answers = True
        self.ours = True
        self.reachable = asyncio.Event()
        self.reachable.set()

    async def write(self, first: int, events: Sequence[Event]) -> bool:
        await self.reachable.wait()
        if self.away:
            raise EngineUnavailable("the task engine's Redis is gone")
        self.writes.append(len(events))
        for number, event in enumerate(events, first):
            self.held.setdefault(number, event)
        if not self.answers:
            raise EngineUnavailable("the answer got lost")
        return self.ours

    def text(self) -> str:
        return "".join(str(event.data["text"]) for _, event in sorted(self.held.items()) if event.type == "text.delta")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(outbox, "_PAUSE_SECONDS", 0.01)
    return Server()


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not look():
            await asyncio.sleep(0.005)


async def test_the_first_event_goes_at_once_and_pieces_of_text_go_as_one(server: Server) -> None:
    box = Outbox(server.write, count=2)
    await box.add("text.delta", {"text": "one ", "step": None})
    await until(lambda: server.held)
    for piece in ("two ", "three ", "four"):
        await box.add("text.delta", {"text": piece, "step": None})
    await until(lambda: len(server.held) == 2)
    assert server.held == {
        3: Event("text.delta", {"text": "one ", "step": None}),
        4: Event("text.delta", {"text": "two three four", "step": None}),
    }
    assert server.writes == [1, 1]


async def test_what_lies_between_two_pieces_stays_there_and_other_steps_texts_stay_apart(server: Server) -> None:
    box = Outbox(server.write, count=0)
    told = [
        Event("text.delta", {"text": "a", "step": "1"}),
        Event("text.delta", {"text": "b", "step": "2"}),
        Event("tool.call", {"name": "look"}),
        Event("text.delta", {"text": "c", "step": "2"}),
    ]
    for event in told:
        await box.add(event.type, event.data)
    await until(lambda: len(server.held) == 4)
    assert [event for _, event in sorted(server.held.items())] == told
    assert server.writes == [4]


async def test_a_text_is_cut_where_it_gets_long(server: Server) -> None:
    box = Outbox(server.write, count=0)
    for _ in range(5):
        await box.add("text.delta", {"text": "x" * 1000})
    await until(lambda: len(server.held) == 2)
    assert [len(str(event.data["text"])) for _, event in sorted(server.held.items())] == [4000, 1000]


async def test_a_text_that_is_being_written_is_not_joined_any_more(server: Server) -> None:
    server.reachable.clear()
    box = Outbox(server.write, count=0)
    await box.add("text.delta", {"text": "a"})
    await asyncio.sleep(0)  # the write has begun
    await box.add("text.delta", {"text": "b"})
    await box.add("text.delta", {"text": "c"})
    server.reachable.set()
    await until(lambda: len(server.held) == 2)
    assert {number: event.data["text"] for number, event in server.held.items()} == {1: "a", 2: "bc"}


async def test_a_server_that_hangs_holds_up_nothing_and_gets_all_when_it_is_back(server: Server) -> None:
    server.reachable.clear()
    box = Outbox(server.write, count=0)
    async with asyncio.timeout(5):  # 2,000 waits of the least kind would take longer
        for number in range(2000):
            await box.add("text.delta", {"text": f"{number} "})
    assert server.held == {}
    server.reachable.set()
    await until(lambda: server.text().endswith("1999 "))
    assert server.text() == "".join(f"{number} " for number in range(2000))


async def test_of_more_than_can_wait_the_oldest_are_dropped_and_their_numbers_are_missing(server: Server) -> None:
    server.away = True
    box = Outbox(server.write, count=0)
    for number in range(1, 301):
        await box.add("progress", {"number": number})
    server.away = False
    await until(lambda: server.held)
    assert sorted(server.held) == list(range(45, 301))
    assert all(event.data == {"number": number} for number, event in server.held.items())


async def test_who_is_faster_than_a_server_that_is_there_waits_and_loses_nothing(server: Server) -> None:
    box = Outbox(server.write, count=0)
    async with asyncio.timeout(30):
        for number in range(1, 1001):
            await box.add("progress", {"number": number})
    first, rest = box.close()
    assert first + len(rest) == 1001
    assert sorted(server.held) == list(range(1, first))


async def test_a_write_whose_answer_got_lost_adds_nothing_twice(server: Server) -> None:
    server.answers = False
    box = Outbox(server.write, count=0)
    await box.add("text.delta", {"text": "a"})
    await until(lambda: len(server.writes) > 1)
    await box.add("text.delta", {"text": "b"})
    server.answers = True
    await until(lambda: len(server.held) == 2)
    assert {number: event.data["text"] for number, event in server.held.items()} == {1: "a", 2: "b"}


async def test_an_attempt_that_is_not_the_tasks_any_more_sends_nothing(server: Server) -> None:
    server.ours = False
    box = Outbox(server.write, count=0)
    await box.add("text.delta", {"text": "a"})
    await until(lambda: server.writes)
    await until(lambda: box._closed)
    await box.add("text.delta", {"text": "b"})
    assert server.writes == [1]


async def test_what_was_not_written_at_the_end_is_given_to_who_ends(server: Server) -> None:
    server.reachable.clear()
    box = Outbox(server.write, count=4)
    await box.add("progress", {"number": 1})
    await box.add("progress", {"number": 2})
    assert box.close() == (5, (Event("progress", {"number": 1}), Event("progress", {"number": 2})))
    await box.add("progress", {"number": 3})
    assert box.close()[0] == 5
    assert len(box.close()[1]) == 2
