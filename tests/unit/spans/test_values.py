import functools
import json
import re

import pytest
from dirty_equals import IsList, IsPartialDict, IsPositive, IsStr

from weaver_ai.spans.values import MISSING, absent, clip, columns, contains, matches, show, where_it_differs

LONG = "again and again and yet and again " * 3 + "and yet and again "


def is_even(value):
    return value % 2 == 0


class Yes:
    def __call__(self, value):
        return value == "yes"


@pytest.mark.parametrize(
    ("expected", "actual", "verdict"),
    [
        ("a", "a", True),
        ("a", "b", False),
        (1, 1.0, True),
        (1, True, False),
        (True, 1, False),
        (True, True, True),
        (0, False, False),
        (0, MISSING, False),
        (None, None, True),
        (["a", "b"], ("a", "b"), True),
        (("a", "b"), ("a", "b"), True),
        (["a"], ("a", "b"), False),
        ({"order": 7}, '{"order": 7}', True),
        ({"order": 7}, '{"order": 7, "x": 1}', False),
        ([1, 2], "[1, 2]", True),
        ({"order": 7}, "not json", False),
        (re.compile("^gpt-"), "gpt-5", True),
        (re.compile("^gpt-"), "a gpt-5", False),
        (re.compile("7"), 7, False),
        (is_even, 4, True),
        (is_even, 3, False),
        (lambda value: value > 3, 4, True),
        (functools.partial(lambda least, value: value >= least, 3), 3, True),
        (Yes(), "yes", True),
        (Yes(), "no", False),
        (IsPositive, 3, True),
        (IsPositive, -3, False),
        (IsStr(regex="a+"), "aaa", True),
        (IsList("a", "b"), ("a", "b"), True),
        (IsPartialDict(a=1), {"a": 1, "b": 2}, True),
        (int, int, True),
        (int, 3, False),
        (absent, MISSING, True),
        (absent, "a", False),
        (absent, None, False),
        (..., "a", True),
        (..., None, True),
        (..., MISSING, False),
        (is_even, MISSING, False),
    ],
)
def test_matches(expected, actual, verdict):
    assert matches(expected, actual) is verdict


@pytest.mark.parametrize(
    ("expected", "actual", "verdict"),
    [
        ({"order": 7}, '{"order": 7, "reason": "late"}', True),
        ({"order": 7}, {"order": 7, "reason": "late"}, True),
        ({"order": 7}, '{"order": 8}', False),
        ({"order": 7}, '{"order": true}', False),
        ({"order": 1}, '{"order": true}', False),
        ({"order": 7}, "order 7", False),
        ({"order": 7}, MISSING, False),
        ({"a": {"b": 1}}, '{"a": {"b": 1, "c": 2}}', True),
        ({"a": {"b": 1}}, '{"a": "{\\"b\\": 1}"}', True),
        ({"a": absent}, '{"b": 1}', True),
        ({"a": absent}, '{"a": null}', False),
        ({"a": ...}, '{"a": null}', True),
        ({"a": re.compile("^x")}, '{"a": "xyz"}', True),
        ({"a": lambda value: value > 3}, '{"a": 4}', True),
        ({"name": "ann"}, '{"name": "annabel"}', False),
        ([{"role": "user"}], '[{"role": "system"}, {"role": "user", "text": "hi"}]', True),
        ([{"role": "user"}, {"role": "user"}], '[{"role": "user"}]', False),
        ([..., {"a": 1}], '[{"a": 1}, {"b": 2}]', True),
        ([{"a": 1}, {"a": 1}], '[{"a": 1}, {"b": 2}]', False),
        ([], "[]", True),
        ("refund", "please refund order 7", True),
        ("refund", ("refund", "cancel"), True),
        ("ref", ("refund", "cancel"), False),
        ("refund", '["refund"]', True),
        ("x", 7, False),
        (7, (1, 7), True),
        (7, "[1, 7]", True),
        (7, "7", True),
        (IsPositive, (-1, 3), True),
        (re.compile("^c"), ("refund", "cancel"), True),
    ],
)
def test_contains(expected, actual, verdict):
    assert matches(contains(expected), actual) is verdict


def test_an_error_in_a_predicate_is_the_tests_own_and_names_the_value():
    with pytest.raises(TypeError) as caught:
        matches(is_even, "three")
    assert caught.value.__notes__ == ["raised by is_even(), called with 'three'"]


@pytest.mark.parametrize(
    ("expected", "actual", "where"),
    [
        (contains({"order": 7}), '{"order": 8}', ("order", "7", "8")),
        (contains({"a": {"b": 1, "c": 2}}), '{"a": {"b": 1}}', ("a.c", "2", "missing")),
        (contains({"order": 7}), "no json", None),
        (contains([1]), "[2]", None),
        (contains({"order": 7}), '{"order": 7}', None),
        ({"order": 7}, '{"order": 8}', None),
        (LONG + "order 7, it came late", LONG + "order 7, it came late", None),
        (
            LONG + "order 7, it came late",
            LONG + "order 8, it came late",
            ("at character 127", "'…again order 7, it came lat…'", "'…again order 8, it came lat…'"),
        ),
        (LONG, LONG + "!", ("at character 121", "'…t and again '", "'…t and again !'")),
        ("x" + LONG, "y" + LONG, None),
        (LONG, 7, None),
        (json.dumps({"text": LONG, "n": 7}), json.dumps({"text": LONG, "n": 8}), ("n", "7", "8")),
        ({"text": LONG, "n": [1, {"a": 2}]}, json.dumps({"text": LONG, "n": [1, {"a": 3}]}), ("n[1].a", "2", "3")),
        ([LONG, "a"], (LONG, "a", "b"), ("[2]", "absent", "'b'")),
        ({"text": LONG, "n": 1}, json.dumps({"text": LONG}), ("n", "1", "missing")),
        (
            contains({"text": LONG + "7"}),
            json.dumps({"text": LONG + "8"}),
            ("text, at character 121", "'…t and again 7'", "'…t and again 8'"),
        ),
        (re.compile(LONG), "a" * 100, None),
        (is_even, LONG, None),
    ],
)
def test_where_it_differs(expected, actual, where):
    assert where_it_differs(expected, actual) == where


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "'a'"),
        (("a", 1), "['a', 1]"),
        ({"a": 1}, "{'a': 1}"),
        (absent, "absent"),
        (MISSING, "missing"),
        (..., "anything"),
        (contains({"a": 1}), "contains({'a': 1})"),
        (re.compile("^a"), "re.compile('^a')"),
        (is_even, "is_even()"),
        (Yes(), "Yes()"),
        (functools.partial(is_even), "partial()"),
        (IsPositive, "IsPositive"),
        ("x" * 100, "'" + "x" * 47 + "…" + "x" * 22 + "'"),
    ],
)
def test_show(value, text):
    assert show(value) == text


def test_a_lambda_is_shown_by_its_place():
    shown = show(lambda value: value)
    assert re.fullmatch(r"lambda at test_values\.py:\d+", shown)


@pytest.mark.parametrize(
    ("text", "limit", "clipped"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("a\nb", 9, "a b"), ("abcdefghij", 7, "abcd…ij"), ("abcdef", 1, "…")],
)
def test_clip(text, limit, clipped):
    assert clip(text, limit) == clipped


@pytest.mark.parametrize(
    ("text", "limit", "clipped"),
    [
        ("返金する", 8, "返金する"),
        ("返金する", 7, "返金…る"),
        ("返金する", 4, "返…"),
        ("e\u0301" * 4, 4, "e\u0301" * 4),  # a letter and its accent: one column
        ("🎉🎉🎉", 5, "🎉…"),
    ],
)
def test_wide_letters_take_two_columns(text, limit, clipped):
    assert clip(text, limit) == clipped
    assert columns(clipped) <= limit


@pytest.mark.parametrize(
    ("text", "limit", "clipped"),
    [
        ("\x1b[31mred\x1b[0m", 40, "\\x1b[31mred\\x1b[0m"),
        ("a\r\tb\x00\ud800", 40, "a\\r\\tb\\x00\\ud800"),
        ("größer ☂ \n µ", 40, "größer ☂   µ"),
        ("\x1b" * 9_000, 7, "\\x1b…1b"),
    ],
)
def test_what_does_not_print_is_escaped(text, limit, clipped):
    assert clip(text, limit) == clipped
