"""Which model an agent gets, from the settings alone; each provider's client is built once and closed at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from pydantic import SecretStr
from pydantic_ai.exceptions import FallbackExceptionGroup, ModelAPIError, UserError
from pydantic_ai.models import Model, infer_model, parse_model_id
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.providers import Provider
from pydantic_ai.settings import ModelSettings

from weaver_ai.agents.bounds import Bounds, Given
from weaver_ai.agents.failures import failure_of
from weaver_ai.agents.guard import GuardedModel
from weaver_ai.agents.model_names import ModelNames, fallbacks_in
from weaver_ai.agents.offline import OFFLINE_MODEL, OfflineModel
from weaver_ai.agents.registry import RegisteredAgent
from weaver_ai.errors import SettingsError
from weaver_ai.settings import Settings
from weaver_ai.telemetry.processors import note_failed_attempt

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from openai import AsyncOpenAI

__all__ = ["ANTHROPIC_MODEL", "OPENAI_MODEL", "Models", "ProviderStatus", "is_offline", "leaves"]

OPENAI_MODEL: Final = "openai:gpt-6-luna"
ANTHROPIC_MODEL: Final = "anthropic:claude-haiku-5-5"

_OPENAI_BASE_URL: Final = "https://api.openai.com/v1"
_ANTHROPIC_BASE_URL: Final = "https://api.anthropic.com"
_NO_KEY: Final = "not-set"

_Vendor: TypeAlias = Literal["openai", "anthropic"]
_PREFIXES: Final = {
    "OpenAIChatModel": "openai-chat",
    "OpenAIResponsesModel": "openai",
    "AnthropicModel": "anthropic",
}
_VENDORS: Final[Mapping[str, _Vendor]] = {
    "openai": "openai",
    "openai-chat": "openai",
    "openai-responses": "openai",
    "anthropic": "anthropic",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderStatus:
    """Whether a provider can be used, as far as that can be told without calling it.

    Attributes:
        models: the model names that registered agents use at this provider.
        reason: why it isn't configured.
    """

    name: str
    configured: bool
    models: tuple[str, ...] = ()
    reason: str | None = None


class Models:
    """Resolves models, and owns the clients behind those that it built.

    An agent gets, in this order: the model it was made with; `settings.model`; an OpenAI model if there
    is a key for it, or a base URL; an Anthropic one likewise; the offline model. Its fallback models are
    tried after that one, except the offline model, which doesn't fail.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._bounds = Bounds(seconds=settings.provider_timeout_seconds, retries=settings.provider_max_retries)
        self._resolved: dict[str, Model] = {}
        self._answering: dict[str, tuple[Model, ...]] = {}
        self._built: dict[tuple[str, bool], Model] = {}
        self._bounded: dict[tuple[int, bool], Model] = {}
        self._given: list[Model] = []
        self._providers: dict[_Vendor, Provider[Any]] = {}
        self._clients: list[AsyncOpenAI | AsyncAnthropic] = []
        self._remarks: dict[str, list[str]] = {}

    @property
    def default(self) -> str:
        """The name of the model that agents without one of their own get; `offline` without a key."""
        if self._settings.model is not None:
            return self._settings.model
        if self._usable("openai"):
            return OPENAI_MODEL
        if self._usable("anthropic"):
            return ANTHROPIC_MODEL
        return OFFLINE_MODEL

    def remarks(self, entry: RegisteredAgent) -> Sequence[str]:
        """What of the agent's models isn't as it was asked for, a line each.

        Fallback models that were left out because their provider isn't configured, and time-outs and retries of the
        user's own clients that Weaver leaves as they are.
        """
        self.of(entry)
        return tuple(dict.fromkeys(self._remarks.get(entry.name, ())))

    def _remark(self, entry: RegisteredAgent, line: str) -> None:
        self._remarks.setdefault(entry.name, []).append(line)

    def of(self, entry: RegisteredAgent) -> Model:
        """The model of an agent, the same object each time.

        Raises:
            SettingsError: the model's name is unknown, or its provider isn't configured.
        """
        if entry.name not in self._resolved:
            model = self._resolve(entry)
            self._answering[entry.name] = (*leaves(model), *self._rescue(model, entry))
            self._resolved[entry.name] = model
        return self._resolved[entry.name]

    def answering(self, entry: RegisteredAgent) -> Sequence[Model]:
        """The models that may answer for an agent, in the order in which they are tried."""
        self.of(entry)
        return self._answering[entry.name]

    def names(self, entry: RegisteredAgent) -> Sequence[ModelNames]:
        """What a run of the agent needs to get the models that a `ModelFallback` of its own names."""
        if not any(isinstance(model, str) for model in fallbacks_in(entry.agent.root_capability)):
            return ()
        return (ModelNames(lambda name: self._model(name, entry, chained=True)),)

    def providers(self) -> tuple[ProviderStatus, ...]:
        """OpenAI and Anthropic, then whatever else resolved models use. No provider is called."""
        used: dict[str, list[str]] = {"openai": [], "anthropic": []}
        for answering in self._answering.values():
            for leaf in answering:
                if not is_offline(leaf) and leaf.model_name not in used.setdefault(leaf.system, []):
                    used[leaf.system].append(leaf.model_name)
        return tuple(self._status(name, tuple(models)) for name, models in used.items())

    async def aclose(self) -> None:
        """Close the clients that were built here, and those that pydantic-ai built. No model can be used afterwards."""
        while self._clients:
            await self._clients.pop().close()
        while self._given:
            async with self._given.pop():
                """Whoever leaves a model last closes the client that its provider made."""

    def _resolve(self, entry: RegisteredAgent) -> Model:
        own = entry.agent.model
        if own is None and self.default == OFFLINE_MODEL:
            return OfflineModel(entry.offline)
        fallback = [model for model in entry.fallback if self._can_fall_back_to(entry, model)]
        chained = bool(fallback) or next(fallbacks_in(entry.agent.root_capability), None) is not None
        primary = self._model(own if own is not None else self.default, entry, chained=chained)
        if not fallback:
            return primary
        others = (self._model(model, entry, chained=True) for model in fallback)
        return FallbackModel(primary, *others, fallback_on=_falls_back)

    def _model(self, model: str | Model, entry: RegisteredAgent, *, chained: bool) -> Model:
        if isinstance(model, Model):
            return self._within_bounds(model, entry, chained=chained)
        if model == OFFLINE_MODEL:
            return OfflineModel(entry.offline)
        if (model, chained) not in self._built:
            self._built[model, chained] = self._build(model, entry, chained=chained)
        return self._built[model, chained]

    def _within_bounds(self, model: Model, entry: RegisteredAgent, *, chained: bool) -> Model:
        """A model object of the user's. One that pydantic-ai made of a name is made anew, as Weaver would make it."""
        key = (id(model), chained)  # the entry holds the model, so that nobody else gets its id
        if key not in self._bounded:
            self._bounded[key] = self._bound(model, entry, chained=chained)
        return self._bounded[key]

    def _bound(self, model: Model, entry: RegisteredAgent, *, chained: bool) -> Model:
        if isinstance(model, FallbackModel):
            chain = copy(model)
            chain.models = [self._within_bounds(inner, entry, chained=True) for inner in model.models]
            return chain
        if model.provider is None:  # no vendor's, as those that tests are made with
            return model
        given = Given(model)
        if (rebuilt := self._rebuilt(given, entry, chained=chained)) is not None:
            return rebuilt
        if remark := given.remark(chained=chained):
            self._remark(entry, remark)
        self._given.append(model)
        return self._bounds.around(given, chained=chained)

    def _rebuilt(self, given: Given, entry: RegisteredAgent, *, chained: bool) -> Model | None:
        prefix = _PREFIXES.get(type(given.model).__name__)
        vendor = _VENDORS.get(prefix or "")
        if prefix is None or vendor is None or not given.made_by(vendor) or not self._usable(vendor):
            return None
        ours, theirs = self._provider(vendor), given.model.provider
        if theirs is None or type(theirs) is not type(ours):
            return None
        same_place = _address(theirs) == _address(ours) and theirs.client.api_key == ours.client.api_key
        made = self._model(f"{prefix}:{given.model.model_name}", entry, chained=chained)
        return made if same_place and made.profile == given.model.profile else None

    def _build(self, name: str, entry: RegisteredAgent, *, chained: bool) -> Model:
        provider, _ = parse_model_id(name)
        vendor = _VENDORS.get(provider or "")
        if vendor is not None and not self._usable(vendor):
            raise SettingsError(
                f"the agent {entry.name!r} uses the model {name!r}, and {_variable(vendor)} is not set",
                hint=f"set {_variable(vendor)}, or choose another model",
            )
        try:
            if vendor is None:  # pydantic-ai's own affair: its provider, from its own variables
                return self._within_bounds(infer_model(name), entry, chained=chained)
            return self._of_vendor(name, vendor, self._bounds.settings(chained=chained))
        except (UserError, ImportError, ValueError) as error:
            raise SettingsError(f"the agent {entry.name!r} uses the model {name!r}: {error}") from error

    def _of_vendor(self, name: str, vendor: _Vendor, settings: ModelSettings) -> Model:
        prefix, model_name = parse_model_id(name)
        provider = self._provider(vendor)
        if vendor == "anthropic":
            from pydantic_ai.models.anthropic import AnthropicModel  # noqa: PLC0415 - imports anthropic

            return GuardedModel(AnthropicModel(model_name, provider=provider, settings=settings))
        from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel  # noqa: PLC0415 - imports openai

        kind = OpenAIChatModel if prefix == "openai-chat" else OpenAIResponsesModel
        return GuardedModel(kind(model_name, provider=provider, settings=settings))

    def _provider(self, vendor: _Vendor) -> Provider[Any]:
        if vendor not in self._providers:
            self._providers[vendor] = self._openai() if vendor == "openai" else self._anthropic()
        return self._providers[vendor]

    def _openai(self) -> Provider[Any]:
        from openai import AsyncOpenAI  # noqa: PLC0415 - a large import that only those who use it should pay
        from pydantic_ai.providers.openai import OpenAIProvider  # noqa: PLC0415 - imports openai

        client = AsyncOpenAI(
            api_key=_secret(self._settings.openai_api_key),
            base_url=self._settings.openai_base_url or _OPENAI_BASE_URL,
            max_retries=self._settings.provider_max_retries,
            timeout=self._settings.provider_timeout_seconds,
        )
        self._clients.append(client)
        return OpenAIProvider(openai_client=client)

    def _anthropic(self) -> Provider[Any]:
        from anthropic import AsyncAnthropic  # noqa: PLC0415 - a large import that only those who use it should pay
        from pydantic_ai.providers.anthropic import AnthropicProvider  # noqa: PLC0415 - imports anthropic

        client = AsyncAnthropic(
            api_key=_secret(self._settings.anthropic_api_key),
            base_url=self._settings.anthropic_base_url or _ANTHROPIC_BASE_URL,
            max_retries=self._settings.provider_max_retries,
            timeout=self._settings.provider_timeout_seconds,
            open_telemetry=False,  # its span would carry the tokens that pydantic-ai's has already
        )
        self._clients.append(client)
        return AnthropicProvider(anthropic_client=client)

    def _can_fall_back_to(self, entry: RegisteredAgent, model: str | Model) -> bool:
        if isinstance(model, Model):
            return True
        vendor = _VENDORS.get(parse_model_id(model)[0] or "")
        if vendor is None or self._usable(vendor):
            return True
        self._remark(entry, f"no fallback to {model!r}: {_variable(vendor)} is not set")
        return False

    def _rescue(self, first: Model, entry: RegisteredAgent) -> Iterator[Model]:
        """The models that the agent's own `ModelFallback` can go on with."""
        if is_offline(first):  # it doesn't fail
            return
        for model in fallbacks_in(entry.agent.root_capability):
            if isinstance(model, Model):
                if model.provider is not None:
                    name = model.model_id
                    self._remark(entry, f"the model {name!r} of its ModelFallback keeps its time-out and retries")
                yield from leaves(model)
            elif (vendor := _VENDORS.get(parse_model_id(model)[0] or "")) is not None and not self._usable(vendor):
                self._remark(entry, f"its ModelFallback can't go on with {model!r}: {_variable(vendor)} is not set")
            else:
                yield from leaves(self._model(model, entry, chained=True))

    def _usable(self, vendor: _Vendor) -> bool:
        """A key will do, and so will a base URL: many a local server takes no key."""
        settings = self._settings
        if vendor == "openai":
            return settings.openai_api_key is not None or settings.openai_base_url is not None
        return settings.anthropic_api_key is not None or settings.anthropic_base_url is not None

    def _status(self, name: str, models: tuple[str, ...]) -> ProviderStatus:
        vendor = _VENDORS.get(name)
        if vendor is None or models or self._usable(vendor):
            return ProviderStatus(name=name, configured=True, models=models)
        return ProviderStatus(name=name, configured=False, reason=f"{_variable(vendor)} is not set")


def leaves(model: Model) -> tuple[Model, ...]:
    """The models that really answer: those inside of fallback chains and wrappers."""
    if isinstance(model, FallbackModel):
        return tuple(leaf for inner in model.models for leaf in leaves(inner))
    if isinstance(model, WrapperModel):
        return leaves(model.wrapped)
    return (model,)


def _falls_back(error: Exception) -> bool:
    """As pydantic-ai's own rule, and when all of a chain inside of this one failed, which is none to pydantic-ai.

    It is asked right before the span of the model that failed is made.
    """
    if not isinstance(error, ModelAPIError | FallbackExceptionGroup):
        return False
    note_failed_attempt(failure_of(error, name="", kind="agent", providers={}).code)
    return True


def is_offline(model: Model) -> bool:
    return isinstance(model, OfflineModel)


def _address(provider: Provider[Any]) -> str:
    return str(provider.base_url).rstrip("/")


def _variable(vendor: _Vendor) -> str:
    return f"{vendor.upper()}_API_KEY"


def _secret(key: SecretStr | None) -> str:
    return key.get_secret_value() if key is not None else _NO_KEY
