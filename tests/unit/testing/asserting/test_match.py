import re

import pytest

from tests.unit.testing.asserting.recorder import Recorder
from weaver_ai.spans.expected import Repeated
from weaver_ai.testing import Spans, any_order, at_least, at_most, span, times, tree

SPANS = Spans(Recorder())


@pytest.mark.parametrize(
    ("write", "error", "message"),
    [
        (span, TypeError, "span() needs a condition; span('*') is any span"),
        (lambda: span("a", stauts="error"), TypeError, "span() has no condition 'stauts'; did you mean 'status'?"),
        (
            lambda: span("a", user_id=7),
            TypeError,
            "span() has no condition 'user_id'; attributes go into the mapping: {'user_id': ...}",
        ),
        (lambda: span("a", status="eror"), ValueError, "span() has no status 'eror'; did you mean 'error'?"),
        (
            lambda: span("a", kind="web"),
            ValueError,
            "span() has no kind 'web'; it is one of internal, server, client, producer, consumer",
        ),
        (lambda: span("a", {}), TypeError, "span() takes attributes as a mapping with a key at least, not {}"),
        (lambda: span("a", ["b"]), TypeError, "span() takes attributes as a mapping with a key at least, not ['b']"),
        (lambda: span("a", resource={}), TypeError, "span() takes resource as a mapping with a key at least, not {}"),
        (lambda: span("a", scope=3), TypeError, "span() takes a string or a regex as scope, not 3"),
        (lambda: span("a", event=3), TypeError, "span() takes a string or a regex as event, not 3"),
        (
            lambda: span("a", parent=3),
            TypeError,
            "span() can't look for 3; it takes a name, a regex, span(...) or a captured span",
        ),
        (
            lambda: span("a", within=None),
            TypeError,
            "span() can't look for None; it takes a name, a regex, span(...) or a captured span",
        ),
        (
            lambda: span({"k": 1}),
            TypeError,
            "span() takes the name first; write span(attributes={...}) to leave it out",
        ),
        (any_order, TypeError, "any_order() needs a child"),
        (
            lambda: any_order(any_order("a")),
            TypeError,
            "any_order() can't stand in any_order(); give all the children to one",
        ),
        (
            lambda: tree("a", {"k": 1}),
            TypeError,
            "tree() takes no attributes; write span(name, {...}) in the place of the name",
        ),
        (
            lambda: tree("a", 3),
            TypeError,
            "tree() can't look for 3; it takes a name, a regex, span(...) or tree(...)",
        ),
        (lambda: times(0, "a"), ValueError, "times() can't count 0"),
        (lambda: at_least(-1, "a"), ValueError, "at_least() can't count -1"),
        (lambda: at_most(0, "a"), ValueError, "at_most() can't count 0"),
        (lambda: SPANS.one("a", nme="b"), TypeError, "one() has no condition 'nme'; did you mean 'name'?"),
        (lambda: SPANS.none(staus="error"), TypeError, "none() has no condition 'staus'; did you mean 'status'?"),
        (SPANS.in_order, TypeError, "in_order() needs a name"),
        (SPANS.wait.one, TypeError, "wait.one() needs a condition"),
        (SPANS.wait.in_order, TypeError, "wait.in_order() needs a name"),
    ],
)
def test_what_can_not_be_meant_is_an_error(write, error, message):
    with pytest.raises(error) as caught:
        write()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "text",
    [
        "tree('a')",
        "tree('a', 'b', ..., tree('c', 'd'))",
        "tree(span('a', {'k': 1}, status='ok'), 'b')",
        "tree('a', any_order('b', span('c', status='ok'), ...))",
        "tree('a', times(2, 'b'), at_least(1, tree('c')), at_most(3, span('d', open=True)))",
    ],
)
def test_a_tree_is_shown_as_it_was_written(text):
    scope = {
        "tree": tree,
        "span": span,
        "any_order": any_order,
        "times": times,
        "at_least": at_least,
        "at_most": at_most,
    }
    assert repr(eval(text, scope)) == text  # noqa: S307 # the texts above


def test_at_least_none_is_a_count():
    assert (at_least(0, "a").least, at_least(0, "a").most) == (0, None)
    assert isinstance(at_most(2, re.compile("a")), Repeated)
