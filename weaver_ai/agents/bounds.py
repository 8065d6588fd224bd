"""The time-outs and retries of models that Weaver didn't make: what their own clients leave open is Weaver's to say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings

from weaver_ai.agents.guard import GuardedModel

__all__ = ["Bounds", "Given"]

Setting: TypeAlias = tuple[str, object]

_CHECKED_ENDS: Final = frozenset({"openai", "anthropic"})
"""The systems whose finished answers always say why they ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one model call may take; in a fallback chain it isn't retried."""

    seconds: float
    retries: int

    def settings(self, *, chained: bool) -> ModelSettings:
        # The SDK's retries would delay the next model of a chain, and hide from the trace why it was needed.
        retries = 0 if chained else self.retries
        return ModelSettings(timeout=self.seconds, request_timeout=self.seconds, max_retries=retries)

    def around(self, given: Given, *, chained: bool) -> Model:
        """The model with these bounds, but for those that it, or the client that it was given, has of its own."""
        kept = {setting for setting, _ in given.kept()}
        ours = {
            name: value
            for name, value in self.settings(chained=chained).items()
            if name not in kept and name not in given.model.unsupported_settings
        }
        return GuardedModel(given.model, cast("ModelSettings", ours), ends_are_told=given.model.system in _CHECKED_ENDS)


@dataclass(frozen=True, slots=True)
class Given:
    """A model as the user, or pydantic-ai in their place, made it."""

    model: Model

    @property
    def client(self) -> Any:
        provider = self.model.provider
        return None if provider is None else getattr(provider, "client", None)

    def made_by(self, module: str) -> bool:
        """Whether pydantic-ai made its client, the one of the SDK `module`, from a name and the environment."""
        # None where the user gave a client, or what it sends with, which only this tells.
        own = getattr(self.model.provider, "_own_http_client", None)
        is_sdk = type(self.client).__module__.partition(".")[0] == module
        return own is not None and is_sdk and self.model.settings is None and not list(self.kept())

    def kept(self) -> Iterator[Setting]:
        """The settings that it, or its client, was given other values for than the SDK's own, with those values."""
        own = self.model.settings or {}
        for name in ("timeout", "request_timeout", "max_retries"):
            if name in own:
                yield name, own.get(name)
        sdk = _sdk_of(self.client)
        if sdk is None:
            return
        if self.client.timeout != sdk.DEFAULT_TIMEOUT:
            yield "timeout", self.client.timeout
            yield "request_timeout", self.client.timeout
        if self.client.max_retries != sdk.DEFAULT_MAX_RETRIES:
            yield "max_retries", self.client.max_retries

    def remark(self, *, chained: bool) -> str | None:
        """What Weaver's settings don't reach, in words; None when they do."""
        kept = dict(self.kept())
        words = []
        if "timeout" in kept:
            words.append(f"its time-out ({_shown(kept['timeout'])})")
        if "max_retries" in kept and (kept["max_retries"] != 0 or not chained):
            delays = ", which delay the next model of the chain" if chained else ""
            words.append(f"its {kept['max_retries']} retries{delays}")
        return f"the model {self.model.model_id!r} keeps {' and '.join(words)}" if words else None


def _sdk_of(client: object) -> Any:
    """The SDK that a client is of, if it is one of those whose defaults are public."""
    match type(client).__module__.partition(".")[0]:
        case "openai":
            import openai  # noqa: PLC0415 - the client's module, which is there

            return openai
        case "anthropic":
            import anthropic  # noqa: PLC0415 - as above

            return anthropic
    return None


def _shown(timeout: object) -> str:
    if timeout is None:
        return "none"
    seconds = timeout if isinstance(timeout, int | float) else getattr(timeout, "read", None)
    return f"{seconds:g} s" if isinstance(seconds, int | float) else "none to read"
