"""What a test asks a trace.

The fixture `spans` (a `Spans`) has the verbs; what is here says which spans are meant.
"""

from weaver_ai.spans.query import SpanPattern
from weaver_ai.spans.values import absent, contains
from weaver_ai.testing.expect import Selection, SpanView, Trace
from weaver_ai.testing.explain import ExpectationFailed
from weaver_ai.testing.live import Spans
from weaver_ai.testing.match import any_order, at_least, at_most, event, span, times, tree

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
