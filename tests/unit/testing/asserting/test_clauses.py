"""The clauses of "Ask and assert" that no other module walks through: every verb on every collection, every keyword."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.unit.spans.building import make
from tests.unit.testing.asserting.recorder import Recorder
from weaver_ai.spans import Event, Link, Scope, Status
from weaver_ai.testing import ExpectationFailed, Selection, Spans, absent, any_order, contains, event, span, times, tree

OTHER = "f" * 32


def numbers(found: Any) -> list[int]:
    return [each.sequence for each in found]


@pytest.fixture
def spans() -> Spans:
    """Names repeat inside and outside of what is asked; 8 has the ids of 3 but for the trace."""
    return Spans(
        Recorder(
            [
                make("top", 1, start=1),
                make("mid", 2, 1, start=2),
                make("x", 3, 2, start=3),
                make("x", 4, 2, start=4),
                make("x", 5, 4, start=5),
                make("leaf", 6, 5, start=6),
                make("y", 7, 2, start=7),
                make("x", 3, start=8, trace=OTHER, sequence=8),
            ]
        )
    )


def scoped(spans: Spans) -> Selection:
    """All that begins in a scope that is opened before anything begins."""
    recorder = Recorder()
    with Spans(recorder).scope() as act:
        recorder.spans += [each.span for each in spans]
        recorder.version += 1
    return act


COLLECTIONS: Mapping[str, Callable[[Spans], Selection]] = {
    "spans": lambda spans: spans,
    "scope": scoped,
    "children": lambda spans: spans.one("mid").children,
    "descendants": lambda spans: spans.one("mid").descendants,
    "ancestors": lambda spans: spans.one("leaf").ancestors,
    "trace": lambda spans: spans.one("mid").trace,
}
# For each collection: all of it, its x's in its own order, and whether it has a leaf.
HOLDS: Mapping[str, tuple[list[int], list[int], bool]] = {
    "spans": ([1, 2, 3, 4, 5, 6, 7, 8], [3, 4, 5, 8], True),
    "scope": ([1, 2, 3, 4, 5, 6, 7, 8], [3, 4, 5, 8], True),
    "children": ([3, 4, 7], [3, 4], False),
    "descendants": ([3, 4, 5, 6, 7], [3, 4, 5], True),
    "ancestors": ([5, 4, 2, 1], [5, 4], False),  # nearest first
    "trace": ([1, 2, 3, 4, 5, 6, 7], [3, 4, 5], True),
}


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_every_verb_on_every_collection(spans: Spans, collection: str) -> None:
    asked = COLLECTIONS[collection](spans)
    every, xs, has_leaf = HOLDS[collection]
    assert numbers(asked) == numbers(asked.all()) == numbers(asked.all("*")) == every
    assert numbers(asked.all("x")) == numbers(asked.some("x")) == numbers(asked.all(re.compile("^x$"))) == xs
    assert numbers(asked.all(span("x") | span("gone"))) == xs
    assert asked.first("x").sequence == xs[0]
    assert asked.count("x") == len(xs)
    assert len(asked) == asked.count() == len(every)
    assert asked[0].sequence == every[0]
    with pytest.raises(ExpectationFailed, match=f"{len(xs)} spans match, not one"):
        asked.one("x")
    with pytest.raises(ExpectationFailed, match="and none should"):
        asked.none("x")
    asked.none("gone")
    assert asked.all("gone") == []
    for verb in (asked.one, asked.first, asked.some):
        with pytest.raises(ExpectationFailed, match=r"none of \d spans matches"):
            verb("gone")
    if has_leaf:
        assert asked.one("leaf").sequence == 6
        assert numbers(asked.in_order("x", "leaf")) == [3, 6]
    else:
        for verb in (asked.one, asked.first, asked.some):
            with pytest.raises(ExpectationFailed, match="it was captured elsewhere"):
                verb("leaf")
        asked.none("leaf")
        assert asked.count("leaf") == 0


def test_in_order_of_ancestors_is_that_of_their_starts(spans: Spans) -> None:
    ancestors = spans.one("leaf").ancestors
    assert numbers(ancestors.in_order("top", "x", "x")) == [1, 4, 5]
    with pytest.raises(ExpectationFailed):
        ancestors.in_order("x", "top")


def test_ancestors_by_name_come_nearest_first_though_the_index_has_them_in_order() -> None:
    spans = Spans(
        Recorder(
            [make("top", 1, start=1), make("x", 2, 1, start=2), make("x", 3, 2, start=3), make("leaf", 4, 3, start=4)]
        )
    )
    ancestors = spans.one("leaf").ancestors
    assert (numbers(ancestors), numbers(ancestors.all("x")), ancestors.first("x").sequence) == ([3, 2, 1], [3, 2], 3)


def test_an_empty_collection_answers(spans: Spans) -> None:
    none = spans.one("leaf").children
    none.none()
    assert (none.all(), none.count(), len(none), list(none)) == ([], 0, 0, [])
    for verb in (none.one, none.first, none.some):
        with pytest.raises(ExpectationFailed, match=r"'leaf'\.children\.\w+\(\): there are none"):
            verb()


PLAIN = ("one", "first", "some", "all", "none", "count")
VERBS = [*PLAIN, *(f"{way}.{verb}" for way in ("eventually", "wait") for verb in ("one", "some", "first"))]


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_takes_a_keyword_that_it_does_not_know(spans: Spans, verb: str) -> None:
    ask: Any = spans
    for part in verb.split("."):
        ask = getattr(ask, part)
    for keyword, hint in {
        "stauts": "did you mean 'status'?",
        "withn": "did you mean 'within'?",
        "order": "attributes go into the mapping: {'order': ...}",
    }.items():
        with pytest.raises(TypeError) as refused:
            ask("x", **{keyword: "error"})
        assert str(refused.value) == f"{verb}() has no condition {keyword!r}; {hint}"
    wrongs: list[object] = [{}, [], "order"]
    for wrong in wrongs:
        with pytest.raises(TypeError, match="takes attributes as a mapping with a key at least"):
            ask("x", wrong)


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_no_collection_takes_a_keyword_that_it_does_not_know(spans: Spans, collection: str) -> None:
    asked: Any = COLLECTIONS[collection](spans)
    for verb in PLAIN:
        with pytest.raises(TypeError, match=f"{verb}.. has no condition 'knd'; did you mean 'kind'?"):
            getattr(asked, verb)("x", knd="client")


@pytest.mark.parametrize(
    "empty",
    [span, any_order, lambda: span(attributes={}), lambda: span("x", resource={})],
    ids=["span", "any_order", "attributes", "resource"],
)
def test_what_asks_for_nothing_is_no_question(empty: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        empty()


@pytest.fixture
def desk() -> Spans:
    """One span that has everything, one beside it that has other things, and their parents."""
    return Spans(
        Recorder(
            [
                make("root", 1, start=0, duration=100),
                make(
                    "publish order",
                    2,
                    1,
                    start=1,
                    duration=50,
                    kind="producer",
                    status=Status("error", "away"),
                    attributes={"order": 7, "body": '{"items": [{"sku": "a"}, {"sku": "b"}]}', "tags": ("new", "eu")},
                    events=[
                        Event("retry", 0, {"attempt": 2}),
                        Event("exception", 0, {"exception.type": "shop.Away", "exception.message": "broker is away"}),
                    ],
                    links=[Link("0af7651916cd43dd8448eb211c80319c", f"{1:016x}")],
                    scope=Scope("shop", "1.2"),
                    resource={"service.name": "desk"},
                ),
                make("publish mail", 3, 2, start=2, duration=None, scope=Scope("mail"), attributes={"order": True}),
                make("lost", 4, 99, start=3, duration=10, status=Status("ok")),
            ]
        )
    )


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ({"name": "publish order"}, [2]),
        ({"name": "publish *"}, [2, 3]),
        ({"name": re.compile("o")}, [1, 2, 4]),
        ({"attributes": {"order": 7}}, [2]),
        ({"attributes": {"order": 1}}, []),  # True is not 1
        ({"attributes": {"order": ...}}, [2, 3]),
        ({"attributes": {"order": absent}}, [1, 4]),
        ({"attributes": {"order": lambda order: order > 1}}, [2]),
        ({"attributes": {"tags": ["new", "eu"]}}, [2]),
        ({"attributes": {"tags": contains("eu")}}, [2]),
        ({"attributes": {"body": re.compile("sku")}}, [2]),
        ({"attributes": {"body": {"items": [{"sku": "a"}, {"sku": "b"}]}}}, [2]),
        ({"attributes": {"body": contains({"items": [{"sku": "b"}]})}}, [2]),
        ({"attributes": {"body": contains({"items": [{"sku": "b"}, {"sku": "b"}]})}}, []),
        ({"kind": "producer"}, [2]),
        ({"status": "error"}, [2]),
        ({"status": "ok"}, [4]),
        ({"status": "unset"}, [1, 3]),
        ({"scope": "shop"}, [2]),
        ({"scope": "*a*"}, [3]),
        ({"resource": {"service.name": re.compile("^de")}}, [2]),
        ({"event": "retry"}, [2]),
        ({"event": event("retry", {"attempt": 2})}, [2]),
        ({"event": event("retry", {"attempt": 3})}, []),
        ({"exception": "Away"}, [2]),
        ({"exception": "shop.Away", "exception_message": "broker *"}, [2]),
        ({"exception_message": "broker"}, []),
        ({"link": "root"}, [2]),
        ({"link": "publish *"}, []),
        ({"min_duration": 0.05}, [1, 2]),
        ({"max_duration": 0.05}, [2, 4]),
        ({"min_duration": 0.05, "max_duration": 0.05}, [2]),
        ({"min_duration": 0.051, "max_duration": 0.099}, []),
        ({"parent": None}, [1]),  # the parent of an orphan isn't known
        ({"parent": "root"}, [2]),
        ({"within": "root"}, [2, 3]),
        ({"within": span("publish *", {"order": 7})}, [3]),
        ({"open": True}, [3]),
        ({"open": False}, [1, 2, 4]),
    ],
    ids=lambda value: re.sub(" at 0x\\w+", "", str(value)),  # the same in every worker of pytest-xdist
)
def test_every_condition_and_its_opposite(desk: Spans, question: dict[str, Any], found: list[int]) -> None:
    assert numbers(desk.all(**question)) == found
    assert desk.count(**question) == len(found)
    assert numbers(desk.all(span(**question))) == found
    assert numbers(desk.all(~span(**question))) == [each for each in (1, 2, 3, 4) if each not in found]
    assert numbers(desk.all(span(**question) & ~span(**question))) == []
    assert numbers(desk.all(span(**question) | ~span(**question))) == [1, 2, 3, 4]
    assert numbers(desk.all(span("publish *") & span(**question))) == [each for each in found if each in (2, 3)]


def test_a_captured_span_is_itself_and_no_other(spans: Spans) -> None:
    """The two have one span id; the ids inside are those that were captured, and both of them."""
    mine, other = spans.all(attributes={"gone": absent})[2], spans.one("x", parent=None)
    assert (mine.span_id, mine.name) == (other.span_id, other.name)
    assert mine != other
    assert mine.trace_id != other.trace_id
    assert numbers(spans.all(within=other)) == []
    assert numbers(spans.all(within=spans.all("x", parent="mid")[1])) == [5, 6]
    assert numbers(spans.all(parent=mine)) == []
    assert numbers(other.trace) == [8]


def test_ids_are_as_they_were_captured_and_never_shown(spans: Spans) -> None:
    leaf = spans.one("leaf")
    assert (leaf.trace_id, leaf.span_id, leaf.parent_id) == (
        "0af7651916cd43dd8448eb211c80319c",
        f"{6:016x}",
        f"{5:016x}",
    )
    with pytest.raises(ExpectationFailed) as failed:
        spans.one("x")
    assert re.search("[0-9a-f]{16}", str(failed.value)) is None
    assert re.search("[0-9a-f]{16}", repr(leaf) + repr(spans)) is None


def test_a_repeated_node_counts_in_any_order_too(spans: Spans) -> None:
    mid = spans.one("mid")
    mid.expect(tree("mid", any_order("y", times(2, "x"))))
    mid.expect(tree("mid", any_order(tree("x"), "y", tree("x", tree("x", "leaf")))))  # one x each, though both fit "x"
    for wrong in (
        tree("mid", any_order("y", times(3, "x"))),
        tree("mid", any_order("y", "x")),
        tree("mid", any_order("*", tree("x"), tree("x"))),
        tree("mid", "x", "y", "x"),
        tree("mid", ..., "x"),
    ):
        with pytest.raises(ExpectationFailed):
            mid.expect(wrong)


def test_a_span_that_is_still_open_is_named_so() -> None:
    recorder = Recorder()
    spans = Spans(recorder)
    recorder.begin("poll")
    assert (spans.one("poll").is_open, spans.one("poll", open=True).end) == (True, None)
    with pytest.raises(ExpectationFailed, match=r"'poll' is still open"):
        spans.wait(0.01).one("poll")
    with pytest.raises(ExpectationFailed, match=r"1 span is still open after 0\.01s: 'poll'"):
        spans.settle(0.01)
