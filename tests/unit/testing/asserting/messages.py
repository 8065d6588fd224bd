"""Messages of failed expectations, word for word, as a terminal shows them: at 100 columns, after pytest's `E   `."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

from tests.unit.spans.building import make
from tests.unit.spans.refund import refund
from tests.unit.testing.asserting.recorder import Recorder
from weaver_ai.spans.values import columns
from weaver_ai.testing import ExpectationFailed, Spans

__all__ = ["ARGUMENTS", "CROWD", "DESK", "expected_message", "message_of"]

DESK = Spans(Recorder(refund()), timeout=0.01)
CROWD = Spans(
    Recorder(
        [
            make("batch", 1, duration=900),
            *(
                make(f"item {number % 3}", number, 1, start=number, attributes={"item.id": number})
                for number in range(2, 300)
            ),
        ]
    ),
    timeout=0.01,
)
ARGUMENTS = "gen_ai.tool.call.arguments"


def message_of(ask: Callable[[], object]) -> str:
    """What the question fails with: at most a screen."""
    with pytest.raises(ExpectationFailed) as caught:
        ask()
    lines = str(caught.value).splitlines()
    assert len(lines) <= 40
    assert max(map(columns, lines)) <= 96
    return str(caught.value)


def expected_message(written: str) -> str:
    """As it stands in a test, indented and between two lines of quotes."""
    return dedent(written)[1:-1]
