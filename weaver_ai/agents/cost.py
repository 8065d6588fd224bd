"""What a run costs: known when the price of every answer is, those of agents that its tools run among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal

from pydantic_ai import RunUsage
from pydantic_ai.exceptions import ModelAPIError, ModelConnectionError, ModelHTTPError
from pydantic_ai.messages import ModelResponse
from pydantic_ai.usage import RequestUsage

__all__ = ["CountedUsage", "cost_of", "counting", "lost", "may_have_cost"]


@dataclass(repr=False, init=False, eq=False)
class CountedUsage(RunUsage):
    """A run's usage that counts what was used without a known price, which the sum of the known ones doesn't tell.

    An agent that is given it, as `usage=ctx.usage` in a tool, counts here, too.
    """

    unpriced: int = 0

    def incr(self, incr_usage: RunUsage | RequestUsage) -> None:
        super().incr(incr_usage)
        # What a refused call leaves behind, nothing at all, has no price and needs none.
        if incr_usage.cost is None and (incr_usage.has_values() or incr_usage.unmeasured_requests):
            self.unpriced += 1


_counting: ContextVar[CountedUsage | None] = ContextVar("weaver_counting", default=None)


@contextmanager
def counting() -> Iterator[CountedUsage]:
    """What a run uses; in the block model calls that came to nothing are noted in it."""
    usage = CountedUsage()
    token = _counting.set(usage)
    try:
        yield usage
    finally:
        _counting.reset(token)


def lost(error: BaseException) -> None:
    """Note a model call that ended with `error`, also one on which a fallback chain goes on, if it may have a price."""
    usage = _counting.get()
    if usage is not None and (not isinstance(error, Exception) or may_have_cost(error)):
        usage.unpriced += 1


def may_have_cost(error: Exception) -> bool:
    """Whether a failed model call may have used tokens: it reached the model, which didn't refuse."""
    if isinstance(error, ExceptionGroup):
        return any(map(may_have_cost, error.exceptions))
    if isinstance(error, ModelHTTPError):
        return error.in_stream
    if isinstance(error, ModelConnectionError):
        return error.phase not in {"pool", "connect"}
    return isinstance(error, ModelAPIError)


def cost_of(usage: CountedUsage, answers: Iterable[ModelResponse]) -> Decimal | None:
    """US dollars; None as soon as a price is missing.

    Args:
        usage: of the run, and of what shared it.
        answers: of the run itself; one that didn't even say its tokens has no price.
    """
    if usage.unpriced or any(answer.usage.cost is None for answer in answers):
        return None
    return usage.cost if usage.cost is not None else Decimal(0)
