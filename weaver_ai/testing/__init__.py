"""What a test asks a trace.

The fixture `spans` (a `Spans`) has the verbs; what is here says which spans are meant.
"""

from weaver_ai.spans.query import SpanPattern
from weaver_ai.spans.values import absent, contains
from weaver_ai.testing.asserting.expect import Selection, SpanView, Trace
from weaver_ai.testing.asserting.explain import ExpectationFailed
from weaver_ai.testing.asserting.match import any_order, at_least, at_most, event, span, times, tree
from weaver_ai.testing.spans import Spans

__all__ = [
    "ExpectationFailed",
    "Selection",
    "SpanPattern",
    "SpanView",
    "Spans",
    "Trace",
    "absent",
    "any_order",
    "at_least",
    "at_most",
    "contains",
    "event",
    "span",
    "times",
    "tree",
]
