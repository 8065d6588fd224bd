import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.spans.building import make
from weaver_ai.spans.query import find
from weaver_ai.spans.tree import Forest
from weaver_ai.spans.values import absent, contains
from weaver_ai.testing.asserting.match import span

names = st.sampled_from(["chat gpt-5", "chat gpt-4", "agent", "tool", "chat"])
values = st.sampled_from(["a", "b", 1, 1.0, True, 0, False, 2, ("a",), '{"a": 1}'])
attributes = st.dictionaries(st.sampled_from(["k", "l"]), values)


@st.composite
def forests(draw):
    spans = []
    for number in range(1, draw(st.integers(0, 12)) + 1):
        parent = draw(st.one_of(st.none(), st.integers(1, 14)))
        start = draw(st.integers(0, 3))
        spans.append(make(draw(names), number, parent, start=start, attributes=draw(attributes)))
    return Forest(spans)


simple = st.one_of(
    st.builds(span, st.one_of(names, st.sampled_from(["chat *", "*", "nothing", "*a*", re.compile("^chat")]))),
    st.builds(
        lambda key, value: span(attributes={key: value}),
        st.sampled_from(["k", "l"]),
        st.one_of(
            values,
            st.sampled_from([absent, ...]),
            st.sampled_from([contains({"a": 1}), contains("a"), re.compile("a")]),
        ),
    ),
    st.builds(lambda name: span(within=name), names),
    st.just(span(parent=None)),
)
patterns = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(lambda one, other: one & other, inner, inner),
        st.builds(lambda one, other: one | other, inner, inner),
        st.builds(lambda one: ~one, inner),
    ),
    max_leaves=4,
)


@settings(max_examples=5 * settings.default.max_examples)
@given(forests(), patterns, st.one_of(st.none(), st.sets(st.integers(0, 11))))
def test_an_index_finds_what_a_scan_finds(forest, pattern, domain):
    inside = None if domain is None else sorted(place for place in domain if place < len(forest))
    scanned = [place for place in (range(len(forest)) if inside is None else inside) if pattern.matches(place, forest)]
    assert find(pattern, forest, inside) == scanned


@given(forests(), patterns)
def test_a_pattern_matches_where_each_of_its_verdicts_does(forest, pattern):
    for place in range(len(forest)):
        verdicts = pattern.check(place, forest)
        assert pattern.matches(place, forest) is all(verdict.matched for verdict in verdicts)
        assert all(isinstance(verdict.actual, str) and verdict.actual for verdict in verdicts)


@given(forests(), simple, simple)
def test_and_or_not_are_those_of_logic(forest, one, other):
    for place in range(len(forest)):
        left, right = one.matches(place, forest), other.matches(place, forest)
        assert (one & other).matches(place, forest) is (left and right)
        assert (one | other).matches(place, forest) is (left or right)
        assert (~one).matches(place, forest) is not left


def test_no_pattern_finds_everything_there_is_to_ask():
    forest = Forest([make("a", 1), make("b", 2)])
    assert find(None, forest) == [0, 1]
    assert find(None, forest, [1]) == [1]


@pytest.mark.parametrize(
    "text",
    [
        "span('a')",
        "span('a', {'k': 1, 'l': contains({'x': 1})}, status='error')",
        "span(attributes={'k': absent})",
        "span('a', exception='ValueError', exception_message='late')",
        "span('a', min_duration=1, max_duration=2.5)",
        "span(resource={'service.name': 'desk'})",
        "span(parent='b', within=span('c', status='ok'))",
        "span(parent=None)",
        "span('a', ~span('b'))",
        "span(span('a') | span('b'))",
        "span(event=event('retry', {'attempt': 2}))",
        "span(event='retry')",
        "span(link='publish', open=True, kind='consumer', scope='x')",
    ],
)
def test_a_pattern_is_shown_as_it_was_written(text):
    from weaver_ai.testing import absent, contains, event, span

    scope = {"span": span, "contains": contains, "absent": absent, "event": event}
    written = text.replace("span('a', ~span('b'))", "span('a') & ~span('b')")
    assert repr(eval(written, scope)) == text  # noqa: S307 # the texts above
