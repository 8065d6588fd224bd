"""A forest that grew is the forest that is made of all its spans at once, whatever was known before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.spans.building import drawn, make
from weaver_ai.spans import Span, Status
from weaver_ai.spans.growing import Growing
from weaver_ai.spans.tree import Forest, key_of

KEYS = ("order", "tenant")
TRACES = ("0" * 31 + "1", "0" * 31 + "2")


def build(forest: Forest, parts: int) -> None:
    """Every index, or those of which the bits say so."""
    asks: list[Callable[[], object]] = [
        lambda: forest.names,
        lambda: forest.traces,
        lambda: forest.open,
        lambda: forest.children(0),
        lambda: forest.roots,
        lambda: forest.having("order"),
        lambda: forest.having("tenant"),
        lambda: forest.statuses,
    ]
    for bit, ask in enumerate(asks):
        if parts & 1 << bit:
            ask()


def described(forest: Forest) -> dict[str, object]:
    places = range(len(forest))
    values = {value for span in forest.spans for value in span.attributes.values()}
    return {
        "spans": forest.spans,
        "positions": [forest.position(key_of(span)) for span in forest.spans],
        "parents": [forest.parent(place) for place in places],
        "children": [list(forest.children(place)) for place in places],
        "roots": list(forest.roots),
        "open": sorted(forest.open),
        "names": {name: list(found) for name, found in forest.names.items()},
        "statuses": {code: list(found) for code, found in forest.statuses.items()},
        "traces": {trace: list(found) for trace, found in forest.traces.items()},
        "having": [list(forest.having(key)) for key in KEYS],
        "valued": [list(forest.valued(key, value)) for key in KEYS for value in values],  # type: ignore[arg-type]
    }


SPANS = st.builds(
    lambda number, parent, start, name, trace, attributes, is_open, code: make(
        name,
        number,
        parent,
        start=start,
        trace=TRACES[trace],
        sequence=100 * trace + number,  # as in a trace, no two that begin at once have the same
        attributes=attributes,
        duration=None if is_open else 1,
        status=Status(code),
    ),
    number=st.integers(1, 12),
    parent=st.none() | st.integers(1, 12),
    start=st.integers(0, 4),
    name=st.sampled_from("abc"),
    trace=st.integers(0, 1),
    attributes=st.dictionaries(st.sampled_from(KEYS), st.sampled_from([1, True, 2, "acme", ""])),
    is_open=st.booleans(),
    code=st.sampled_from(["unset", "error"]),
)


@st.composite
def growths(draw: st.DrawFn) -> list[tuple[list[Span], int]]:
    """What a source has, again and again: each time some spans are others than before, and some are new."""
    has: dict[tuple[str, str], Span] = {}
    steps: list[tuple[list[Span], int]] = []
    for _ in range(draw(st.integers(2, 5))):
        for drawn_span in draw(st.lists(SPANS, max_size=6)):
            span, known = drawn_span, has.get(key_of(drawn_span))
            if draw(st.booleans()) and known is not None:
                span = replace(drawn_span, start=known.start, sequence=known.sequence, parent_id=known.parent_id)
            elif draw(st.booleans()):  # begins last
                span = replace(drawn_span, start=max([10, *(other.start + 1 for other in has.values())]))
            has[key_of(span)] = span
        steps.append((list(has.values()), draw(st.integers(0, 255))))
    return steps


@settings(max_examples=200, deadline=None)
@given(growths())
def test_grown_is_made_anew(steps: list[tuple[list[Span], int]]) -> None:
    growing, forest = Growing(), Forest(())
    for spans, parts in steps:
        anew = described(Forest(spans))
        before = described(Forest(forest.spans))
        larger = forest.grown(spans)
        assert described(larger) == anew
        assert described(forest) == before, "the smaller one changed"
        forest = Forest(forest.spans).grown(spans)  # of which only these indexes are known
        build(forest, parts)
        asked = growing.forest(spans)
        build(asked, parts)
        assert described(Forest(spans)) == described(growing.forest(spans)) == described(asked)


def test_nothing_new_is_the_same_forest() -> None:
    spans = drawn("a\nb")
    growing = Growing()
    assert growing.forest(spans) is growing.forest(list(spans))


def test_the_indexes_are_taken_over() -> None:
    """Else each ask after a new span would look at every span there is."""
    forest = Forest(drawn("a\n  b\nc"))
    build(forest, 255)
    grown = forest.grown([make("b", 9, start=9, attributes={"order": 1})])
    assert {"names", "statuses", "traces", "open", "roots", "_kin", "_positions", "_attributes"} <= vars(grown).keys()
    assert grown.names["a"] is forest.names["a"]
    assert (list(grown.names["b"]), list(forest.names["b"])) == ([1, 3], [1])


def test_a_parent_that_comes_late_has_its_children() -> None:
    forest = Forest([make("child", 2, parent=1, start=1)])
    build(forest, 255)
    grown = forest.grown([make("parent", 1, start=5)])
    assert (list(grown.children(1)), list(grown.roots)) == ([0], [1])
    assert (list(forest.roots), forest.is_orphan(0)) == ([0], True)


def test_a_parent_that_comes_late_has_its_children_after_two_growths() -> None:
    forest = Forest([make("a", 9)])
    build(forest, 255)
    orphan = forest.grown([make("child", 2, parent=1, start=1)])
    assert list(orphan.roots) == [0, 1]
    grown = orphan.grown([make("parent", 1, start=5)])
    assert (list(grown.children(2)), list(grown.roots)) == ([1], [0, 2])


def test_a_span_that_is_gone_is_forgotten() -> None:
    spans = drawn("a\nb\nc\nd")
    growing = Growing()
    growing.forest(spans)
    others = [*spans[:3], make("e", 5, start=5)]
    assert growing.forest(others).spans == tuple(others)
    assert growing.forest(others[:2]).spans == tuple(others[:2])
