"""Trees with hundreds of children: the difference is found without comparing everything with everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import SequenceMatcher

import pytest

from tests.unit.spans.building import make
from tests.unit.testing.asserting.recorder import Recorder
from weaver_ai.spans import diff
from weaver_ai.testing import ExpectationFailed, Spans, any_order, span, tree
from weaver_ai.testing.asserting.expect import SpanView

pytestmark = pytest.mark.timeout(60)


def batch(count: int) -> SpanView:
    items = [make(f"item {i}", i + 2, 1, start=i + 1, attributes={"i": i}) for i in range(count)]
    return Spans(Recorder([make("batch", 1, duration=900), *items])).one("batch")


def items(numbers: Iterable[int]) -> list[str]:
    return [f"item {number}" for number in numbers]


CASES = [
    pytest.param(
        lambda: batch(150).expect(tree("batch", any_order(*items(range(1, 151))))),
        ["✗ ├── item 0", "  │     name: expected 'item 150', was 'item 0'", "  └── … 149 as expected"],
        id="any order, one wrong",
    ),
    pytest.param(
        lambda: batch(150).expect(tree("batch", any_order(*["item *"] * 149, "nope"))),
        ["  ├── … 149 as expected", "+ ├── item 149", "- └── 'nope'"],
        id="any order of a glob, one wrong",
    ),
    pytest.param(
        lambda: batch(500).expect(tree("batch", *items(i for i in range(500) if i != 250))),
        ["  ├── … 250 as expected", "+ ├── item 250", "  └── … 249 as expected"],
        id="one not expected",
    ),
    pytest.param(
        lambda: batch(500).expect(tree("batch", *items(range(250)), "nope", *items(range(250, 500)))),
        ["  ├── … 250 as expected", "- ├── 'nope'", "  └── … 250 as expected"],
        id="one missing",
    ),
    pytest.param(
        lambda: batch(150).expect(tree("batch", ..., any_order(*items(range(99, 49, -1)), "nope"), ...)),
        ["  ├── … 51 as expected", "- ├── 'nope'", "  └── ... (50 permitted)"],
        id="any order in the middle",
    ),
    pytest.param(
        lambda: batch(150).expect(
            tree("batch", "item 0", any_order(*items(range(148, 1, -1)), "nope"), span("item 149", {"i": 7}))
        ),
        [
            "  ├── item 0",
            "+ ├── item 1",
            "  ├── … 147 as expected",
            "- ├── 'nope'",
            "✗ └── item 149",
            "        i: expected 7, was 149",
        ],
        id="any order between others",
    ),
    pytest.param(
        lambda: batch(200).expect(tree("batch", *[f"other {i}" for i in range(200)])),
        None,
        id="nothing as expected",
    ),
    pytest.param(
        lambda: batch(200).expect(tree("batch", any_order(*[f"iten {i}" for i in range(200)]))),
        None,
        id="any order, nothing as expected",
    ),
]


@pytest.mark.parametrize(("ask", "difference"), CASES)
def test_a_wide_tree(ask: Callable[[], object], difference: list[str] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0

    class Counting(SequenceMatcher):  # type: ignore[type-arg]
        def ratio(self) -> float:
            nonlocal compared
            compared += 1
            return super().ratio()

    monkeypatch.setattr(diff, "SequenceMatcher", Counting)
    with pytest.raises(ExpectationFailed) as failed:
        ask()
    lines = str(failed.value).splitlines()
    assert compared < 8_000
    if difference is not None:
        shown = lines[3 : lines.index("", 2)]
        assert [line[2:] for line in shown] == difference
