"""The models that an agent's own `ModelFallback` names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic_ai import capabilities
from pydantic_ai.capabilities import AbstractCapability, CombinedCapability, WrapperCapability
from pydantic_ai.models import Model, ModelResolutionContext

__all__ = ["ModelNames", "fallbacks_in"]


# Not in the oldest pydantic-ai that Weaver takes, where no agent can have one.
_FALLBACK: type | tuple[()] = getattr(capabilities, "ModelFallback", ())


@dataclass
class ModelNames(AbstractCapability[Any]):
    """Gives a model that is asked for by name while the run goes on; the agent's own capabilities are asked first."""

    find: Callable[[str], Model]

    async def resolve_model_id(self, ctx: ModelResolutionContext[Any], *, model_id: str) -> Model | None:
        return self.find(model_id)


def fallbacks_in(capability: AbstractCapability[Any]) -> Iterator[Model | str]:
    """The models that the `ModelFallback`s among an agent's capabilities go on with."""
    if isinstance(capability, _FALLBACK):
        yield from capability.models  # type: ignore[attr-defined]  # a ModelFallback has them
    elif isinstance(capability, CombinedCapability):
        for each in capability.capabilities:
            yield from fallbacks_in(each)
    elif isinstance(capability, WrapperCapability):
        yield from fallbacks_in(capability.wrapped)
