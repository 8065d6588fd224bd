"""The tree matcher against one that tries everything."""

import time
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.spans.building import forest, make
from weaver_ai.spans.diff import difference
from weaver_ai.spans.expected import AnyOrder, Repeated
from weaver_ai.spans.fit import Fitter
from weaver_ai.spans.query import SpanPattern
from weaver_ai.spans.tree import Forest
from weaver_ai.testing.asserting.match import any_order, at_least, at_most, span, times, tree

NAMES = "abc"


def fits(expected, captured, position=0):
    return Fitter(captured).fits(expected, position)


def brute(node, place, captured):
    """As the documentation says it, with no thought of cost."""
    if isinstance(node, SpanPattern):
        return node.matches(place, captured)
    return node.root.matches(place, captured) and brute_row(
        list(node.children), list(captured.children(place)), captured
    )


def brute_row(items, places, captured):
    if not items:
        return not places
    first, rest = items[0], items[1:]
    return any(
        brute_item(first, places[:taken], captured) and brute_row(rest, places[taken:], captured)
        for taken in range(len(places) + 1)
    )


def brute_item(item, places, captured):
    if item is ...:
        return True
    if isinstance(item, Repeated):
        most = len(places) if item.most is None else item.most
        return item.least <= len(places) <= most and all(brute(item.node, place, captured) for place in places)
    if isinstance(item, AnyOrder):
        return any(brute_block(list(item.items), list(order), captured) for order in permutations(places))
    return len(places) == 1 and brute(item, places[0], captured)


def brute_block(items, places, captured):
    """One order of the places: each item takes the next ones."""
    if not items:
        return not places
    return any(
        brute_item(items[0], places[:taken], captured) and brute_block(items[1:], places[taken:], captured)
        for taken in range(len(places) + 1)
    )


@st.composite
def captured_trees(draw):
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6))
    parents = [None, *(draw(st.integers(1, min(number, 2))) for number in range(1, len(names)))]
    numbers = range(1, len(names) + 1)
    return Forest(make(*one, start=one[1]) for one in zip(names, numbers, parents, strict=True))


leaf = st.one_of(st.sampled_from([*NAMES, "*"]).map(span), st.just(span("a") | span("b")))


def nodes(inner):
    repeated = st.one_of(
        st.builds(times, st.integers(1, 3), inner),
        st.builds(at_least, st.integers(0, 2), inner),
        st.builds(at_most, st.integers(1, 2), inner),
    )
    item = st.one_of(inner, inner, repeated, st.just(...))
    child = st.one_of(item, item, st.lists(item, min_size=1, max_size=3).map(lambda items: any_order(*items)))
    return st.builds(lambda root, children: tree(root, *children), leaf, st.lists(child, max_size=4))


expected_trees = nodes(st.one_of(leaf, leaf, nodes(leaf)))


@settings(max_examples=4 * settings.default.max_examples)
@given(expected_trees, captured_trees())
def test_it_fits_exactly_where_trying_everything_says_so(expected, captured):
    assert fits(expected, captured) is brute(expected, 0, captured)


@settings(max_examples=4 * settings.default.max_examples)
@given(expected_trees, captured_trees())
def test_there_is_a_difference_exactly_where_it_does_not_fit(expected, captured):
    edit = difference(expected, 0, captured)
    assert (edit.count() == 0) is fits(expected, captured)
    assert (edit.kind == "same") is fits(expected, captured)


@settings(max_examples=2 * settings.default.max_examples)
@given(expected_trees, captured_trees())
def test_a_difference_has_each_child_once_and_in_its_place(expected, captured):
    edit = difference(expected, 0, captured)
    places = [inner.position for inner in edit.below if inner.position is not None]
    assert sorted(places) == sorted(captured.children(0))


@pytest.mark.parametrize(
    ("expected", "fitting"),
    [
        (tree("root"), False),
        (span("root"), True),
        (tree("root", "a", "b", "a"), True),
        (tree("root", "a", "b"), False),
        (tree("root", "b", "a", "a"), False),
        (tree("root", ...), True),
        (tree("root", ..., "b", ...), True),
        (tree("root", "a", ...), True),
        (tree("root", "b", ...), False),
        (tree("root", ..., "a"), True),
        (tree("root", any_order("a", "a", "b")), True),
        (tree("root", any_order("a", "b", ...)), True),
        (tree("root", any_order("b", "b", ...)), False),
        (tree("root", any_order("a", "b"), "a"), True),
        (tree("root", any_order("a", "*", "*")), True),
        (tree("root", any_order("*", "*", "b")), True),
        (tree("root", any_order(times(2, "a"), "b")), True),
        (tree("root", any_order(at_least(1, "a"), "b")), True),
        (tree("root", any_order(at_least(3, "a"), ...)), False),
        (tree("root", times(3, "*")), True),
        (tree("root", times(2, "*")), False),
        (tree("root", at_least(1, "a"), "b", at_most(5, "a")), True),
        (tree("root", at_least(0, "x"), ...), True),
        (tree("root", tree("a", "deep"), "b", "a"), True),
        (tree("root", tree("a"), "b", tree("a")), False),
        (tree("root", any_order(tree("a", "deep"), tree("a"), tree("b"))), True),
    ],
    ids=repr,
)
def test_examples(expected, fitting):
    captured = forest("""
        root
          a
            deep
          b
          a
    """)
    assert fits(expected, captured) is fitting


def test_the_worst_cases_end_soon():
    wide = Forest([make("root", 1), *(make("a", number, 1, start=number) for number in range(2, 402))])
    greedy = tree("root", *[at_least(0, "a"), ...] * 10, "b")
    block = tree("root", any_order(*["*"] * 60, times(100, "a"), at_least(1, "a")), ..., any_order("b", ...))
    began = time.perf_counter()
    assert not fits(greedy, wide)
    assert not fits(block, wide)
    assert fits(tree("root", any_order(*["*"] * 400)), wide)
    assert time.perf_counter() - began < 20


def test_a_count_far_over_what_there_is_costs_nothing():
    captured = forest("root\n  a")
    assert not fits(tree("root", times(10**9, "a")), captured)
    assert fits(tree("root", at_most(10**9, "a")), captured)
