"""A turn that our scripts add is, but for its time, what docket itself would have written: a new docket shows here."""

from __future__ import annotations

import pickle

import pytest

from tests.unit.tasks.redis.conftest import Engines
from tests.unit.tasks.redis.test_engine import dying, forever, wanted
from weaver_ai.tasks.redis.turns import TurnTaker

pytest_plugins = ["tests.fixtures.redis_server"]


async def test_a_turn_of_ours_is_one_of_dockets(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TurnTaker, "begin", lambda _taker: None)  # a worker in sight that takes nothing
    gateway = engines()
    await gateway.start()
    async with dying(engines(forever)):
        await gateway.submit(wanted())
        turns = gateway._turns
        await turns._add_many(["by docket"])
        async with turns.docket.redis() as redis:
            messages = [fields for _, fields in await redis.xrange(turns.docket.stream_key)]
    primed = [fields for fields in messages if fields[b"key"] == b"primed"]
    ours, dockets = (fields for fields in messages if fields not in primed)
    assert dockets[b"key"] == b"by docket"
    assert (list(ours), _read(ours)) == (list(dockets), _read(dockets))


def _read(fields: dict[bytes, bytes]) -> dict[bytes, object]:
    """What doesn't change from turn to turn, as docket reads it; a generation is only of a turn that has a record."""
    read: dict[bytes, object] = {name: fields[name] for name in (b"function", b"attempt")}
    return read | {name: pickle.loads(fields[name]) for name in (b"args", b"kwargs")}  # noqa: S301 # our own
