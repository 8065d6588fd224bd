"""The error crosses processes, with its message and its notes, although it says that it's a builtin."""

from __future__ import annotations

import copy
import pickle
from multiprocessing import get_context

import pytest

from tests.unit.testing.asserting.recorder import Recorder
from weaver_ai.testing import ExpectationFailed, Spans


def ask_for_what_is_missing() -> None:
    Spans(Recorder()).one("publish")


def failed() -> ExpectationFailed:
    with pytest.raises(ExpectationFailed) as raised:
        ask_for_what_is_missing()
    raised.value.add_note("asked twice")
    return raised.value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_can_be_pickled(protocol: int) -> None:
    error = failed()
    again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 # what this test pickled itself
    assert (type(again), again.args, again.__notes__) == (ExpectationFailed, error.args, ["asked twice"])
    assert str(again).startswith("spans.one('publish'): nothing was captured")


def test_it_can_be_copied() -> None:
    error = failed()
    assert copy.deepcopy(error).args == copy.copy(error).args == error.args


def test_a_pool_of_processes_raises_it_here() -> None:
    with get_context("spawn").Pool(1) as pool:
        with pytest.raises(ExpectationFailed, match=r"^spans\.one\('publish'\): nothing was captured"):
            pool.apply_async(ask_for_what_is_missing).get(60)
