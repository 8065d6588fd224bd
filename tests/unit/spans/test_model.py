"""A status and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from opentelemetry.trace import StatusCode

from weaver_ai.spans import Status


@pytest.fixture
def failed() -> Status:
    return Status("error", "no funds")


@pytest.mark.parametrize("error", ["error", StatusCode.ERROR, Status("error", "no funds")])
def test_a_status_equals_its_code_from_either_side(failed: Status, error: object) -> None:
    assert failed == error
    assert error == failed
    assert (failed != error) is (error != failed) is False


@pytest.mark.parametrize("other", ["ok", "unset", StatusCode.OK, Status("error"), Status("ok", "no funds"), 2, None])
def test_a_status_differs_from_what_it_is_not(failed: Status, other: object) -> None:
    assert failed != other
    assert other != failed
    assert (failed == other) is (other == failed) is False


@pytest.mark.parametrize(
    ("slip", "hint"),
    [
        ("ERROR", "there is no status 'ERROR'; did you mean 'error'?"),
        ("eror", "there is no status 'eror'; it is one of unset, ok, error"),
    ],
)
def test_a_slip_is_no_answer(failed: Status, slip: str, hint: str) -> None:
    """`!=` with a code that doesn't exist would hold for every span."""
    comparisons: list[Callable[[], bool]] = [lambda: failed == slip, lambda: failed != slip, lambda: slip != failed]
    for compare in comparisons:
        with pytest.raises(ValueError) as raised:
            compare()
        assert str(raised.value) == hint


def test_a_status_is_found_among_codes(failed: Status) -> None:
    assert failed in ("ok", "error")
    assert failed in {"ok", "error"}
    assert failed not in {"ok", "unset"}
    match failed:
        case "error":
            pass
        case _:
            pytest.fail("no case for an error")
