"""When a run that stopped, stopped because of its deadline."""

from __future__ import annotations

import asyncio

import pytest

from weaver_ai.agents.watch import is_past


@pytest.mark.parametrize(
    ("ahead", "past"),
    [
        (-1.0, True),
        (0.0, True),
        (0.002, True),  # a loop may fire a timer early: by its clock's resolution, or by uvloop's rounding
        (1.0, False),
    ],
)
async def test_a_deadline_is_past_when_a_loop_may_have_fired_it(ahead: float, past: bool) -> None:
    assert is_past(asyncio.get_running_loop().time() + ahead) is past
