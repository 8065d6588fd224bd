"""What GenAI attributes add up to: tools, tokens, cost.

Sources: OpenTelemetry semantic conventions for GenAI (`gen_ai.*`); pydantic-ai's `gen_ai.aggregated_usage.*`
(the tokens of one agent run, without the runs nested in it) and `operation.cost` (US dollars).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import nan
from typing import Final, final

from weaver_ai.spans.model import Attributes, Span
from weaver_ai.spans.tree import Forest

__all__ = ["Cost", "UnknownCost", "Usage", "cost_of", "tools_of", "usage_of"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates

_OPERATION: Final = "gen_ai.operation.name"
_AGENT: Final = "invoke_agent"
_TOOL: Final = "execute_tool"
_MODEL_CALLS: Final = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
_NAMES: Final = {
    "input_tokens": ("input_tokens", "prompt_tokens"),
    "output_tokens": ("output_tokens", "completion_tokens"),
    "cache_read_tokens": ("cache_read.input_tokens", "details.cache_read_tokens"),
    "cache_write_tokens": ("cache_creation.input_tokens", "cache_write.input_tokens", "details.cache_write_tokens"),
}


@final
@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, each counted once however many spans report it. A count that nobody reported is 0.

    Attributes:
        cache_read_tokens: of the input tokens, those that came from the provider's cache.
        cache_write_tokens: of the input tokens, those that went into it.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def at_least(self, other: Usage) -> Usage:
        """The greater of each count."""
        return Usage(*(max(getattr(self, field.name), getattr(other, field.name)) for field in fields(self)))


class UnknownCost(ValueError):
    """A comparison can't be decided, for a model call has no price."""


@final
class Cost(float):
    """US dollars. Where a model call has no price the cost is unknown, and only bounded from below.

    A known cost is a float like any other. An unknown one is not a number (NaN), so sums with it and
    `==` can't come out right by chance; `>=` and `>` hold where what is known suffices; every other
    comparison raises `UnknownCost` instead of guessing.

    Attributes:
        at_least: the prices that are known, added up.
        unpriced: how many model calls have no price.
    """

    at_least: float
    unpriced: int

    def __new__(cls, at_least: float, unpriced: int = 0) -> Cost:
        cost = super().__new__(cls, nan if unpriced else at_least)
        cost.at_least = at_least
        cost.unpriced = unpriced
        return cost

    def __getnewargs__(self) -> tuple[float, int]:  # type: ignore[override] # float has one argument
        return self.at_least, self.unpriced

    @property
    def known(self) -> bool:
        return self.unpriced == 0

    def __repr__(self) -> str:
        if self.known:
            return repr(self.at_least)
        calls = "1 model call" if self.unpriced == 1 else f"{self.unpriced} model calls"
        return f"<unknown cost, at least {self.at_least:g}: {calls} without a price>"

    __str__ = __repr__

    def __ge__(self, other: float) -> bool:
        return self.at_least >= other or self._decided()

    def __gt__(self, other: float) -> bool:
        return self.at_least > other or self._decided()

    def __le__(self, other: float) -> bool:
        return not self.at_least > other and self._decided(known=True)

    def __lt__(self, other: float) -> bool:
        return not self.at_least >= other and self._decided(known=True)

    def _decided(self, *, known: bool = False) -> bool:
        if self.known:
            return known
        raise UnknownCost(f"{self!r} can't be compared so")


def tools_of(forest: Forest, position: int) -> list[str]:
    """The names of the tools executed below the span (and by it), in the order of their starts."""
    below = sorted([position, *forest.descendants(position)])
    return [_tool(forest.spans[place]) for place in below if _executes(forest, place)]


def _executes(forest: Forest, position: int) -> bool:
    """A client's span directly below the framework's, for the same tool, is the same execution."""
    span = forest.spans[position]
    if span.attributes.get(_OPERATION) != _TOOL:
        return False
    parent = forest.parent(position)
    above = None if parent is None else forest.spans[parent]
    return above is None or above.attributes.get(_OPERATION) != _TOOL or _tool(above) != _tool(span)


def _tool(span: Span) -> str:
    name = span.attributes.get("gen_ai.tool.name")
    return name if isinstance(name, str) else span.name.removeprefix(f"{_TOOL} ")


def usage_of(forest: Forest, position: int) -> Usage:
    """The tokens of all model calls in the span's subtree.

    A span that reports tokens and spans below it that report them speak of the same calls: the greater
    count holds. A nested agent run is not part of what pydantic-ai reports for the run around it.
    """
    own_run: dict[int, Usage] = {}
    nested: dict[int, Usage] = {}
    for place in _children_first(forest, position):
        span = forest.spans[place]
        children = forest.children(place)
        calls = sum((own_run[child] for child in children), Usage())
        runs = sum((nested[child] for child in children), Usage())
        calls = calls.at_least(_reported(span.attributes, "gen_ai.aggregated_usage."))
        reported = _reported(span.attributes, "gen_ai.usage.")
        if span.attributes.get(_OPERATION) == _AGENT:
            own_run[place], nested[place] = Usage(), (calls + runs).at_least(reported)
        else:
            own_run[place], nested[place] = calls.at_least(reported), runs
    return own_run[position] + nested[position]


def _children_first(forest: Forest, position: int) -> Sequence[int]:
    return [position, *forest.descendants(position)][::-1]


def _reported(attributes: Attributes, prefix: str) -> Usage:
    return Usage(*(_count(attributes, prefix, names) for names in _NAMES.values()))


def _count(attributes: Attributes, prefix: str, names: Sequence[str]) -> int:
    values = (attributes.get(prefix + name) for name in names)
    return next((value for value in values if isinstance(value, int)), 0)


def cost_of(forest: Forest, position: int) -> Cost:
    """The prices of all model calls in the span's subtree.

    A price on a span covers what is below it. A call whose outermost span has no price takes that of
    the spans below it; where they have none either the call is unpriced, unless it failed: then it is
    free, as providers have it. A failed call that has a price broke off in its answer: it cost at least that.
    """
    below: dict[int, tuple[float, int, int]] = {}
    for place in _children_first(forest, position):
        parts = [below[child] for child in forest.children(place)]
        known = sum(part[0] for part in parts)
        unpriced = sum(part[1] for part in parts)
        calls = sum(part[2] for part in parts)
        span = forest.spans[place]
        price = span.attributes.get("operation.cost")
        if isinstance(price, int | float):
            known, unpriced = max(float(price), known), int(_is_model_call(span) and span.status.code == "error")
        elif _is_model_call(span) and calls == 0 and span.status.code != "error":
            unpriced = 1
        below[place] = known, unpriced, calls + _is_model_call(span)
    return Cost(*below[position][:2])


def _is_model_call(span: Span) -> bool:
    return span.attributes.get(_OPERATION) in _MODEL_CALLS
