"""The Weaver object: which agents and workflows there are, by name and by capability."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_type_hints

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic_ai import Agent
from pydantic_ai.models import Model

from weaver_ai.agents.offline import OfflineRules
from weaver_ai.agents.workflows import Run
from weaver_ai.errors import (
    AgentNotFound,
    CapabilityNotFound,
    InvalidInput,
    RegistrationError,
    WeaverError,
    WorkflowNotFound,
)
from weaver_ai.tasks import Retry, TaskPolicy
from weaver_ai.tasks.retry import NO_RETRY
from weaver_ai.telemetry.validation import message_of

__all__ = ["Entry", "RegisteredAgent", "RegisteredWorkflow", "Weaver", "did_you_mean"]

DepsT = TypeVar("DepsT")
OutputT = TypeVar("OutputT")
InT = TypeVar("InT")
FoundT = TypeVar("FoundT")
WorkflowFunction: TypeAlias = Callable[[Run, InT], Awaitable[OutputT]]

_MOST_NAMES: Final = 12
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, eq=False)
class RegisteredAgent:
    """An agent as it was registered.

    Attributes:
        fallback: models that are tried, in this order, when the agent's own fails.
        deps: given to every run of the agent.
        offline: how the offline model plays this agent.
        tasks: how its tasks are run.
    """

    name: str
    capability: str
    agent: Agent[Any, Any]
    description: str | None = None
    fallback: tuple[str | Model, ...] = ()
    deps: Any = None
    offline: OfflineRules = field(default_factory=OfflineRules)
    tasks: TaskPolicy = field(default_factory=TaskPolicy)
    kind: Literal["agent"] = "agent"


@dataclass(frozen=True, eq=False)
class RegisteredWorkflow:
    """A workflow as it was registered; its input is what the function's second parameter is annotated with.

    `tasks` says how its tasks are run.
    """

    name: str
    capability: str
    function: Callable[[Run, Any], Awaitable[Any]]
    input_type: Any
    description: str | None = None
    tasks: TaskPolicy = field(default_factory=TaskPolicy)
    kind: Literal["workflow"] = "workflow"

    @cached_property
    def _input(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.input_type)

    @property
    def input_schema(self) -> dict[str, Any]:
        """The JSON schema of the input."""
        return self._input.json_schema()

    def validate(self, value: object) -> Any:
        """`value` as the type that the workflow takes.

        Raises:
            InvalidInput: it doesn't fit; the message names the places, not the values.
        """
        try:
            return self._input.validate_python(value)
        except ValidationError as error:
            problems = "; ".join(_problem(item["loc"], message_of(item)) for item in error.errors(include_url=False))
            raise InvalidInput(f"the input doesn't fit the workflow {self.name!r}: {problems}") from error


Entry: TypeAlias = RegisteredAgent | RegisteredWorkflow


class Weaver:
    """Agents and workflows under one name, to be served or run.

    Example:
        >>> weaver = Weaver("support-desk")
        >>> billing = weaver.agent(Agent(name="billing", instructions="You refund orders."))
        >>> @weaver.workflow("support")
        ... async def support(run: Run, input: str) -> str:
        ...     return (await run("billing", input)).text
    """

    def __init__(self, name: str) -> None:
        self.name = _valid_name(name, "a Weaver's name")
        self._entries: dict[str, Entry] = {}
        self._capabilities: dict[str, Entry] = {}

    def __repr__(self) -> str:
        return f"Weaver({self.name!r}, agents={list(self.agents)}, workflows={list(self.workflows)})"

    @property
    def agents(self) -> Mapping[str, RegisteredAgent]:
        """The agents by name, in the order of their registration."""
        return MappingProxyType(
            {name: entry for name, entry in self._entries.items() if isinstance(entry, RegisteredAgent)}
        )

    @property
    def workflows(self) -> Mapping[str, RegisteredWorkflow]:
        """The workflows by name, in the order of their registration."""
        return MappingProxyType(
            {name: entry for name, entry in self._entries.items() if isinstance(entry, RegisteredWorkflow)}
        )

    @property
    def capabilities(self) -> Mapping[str, Entry]:
        """Who does what: every agent and every workflow by its capability."""
        return MappingProxyType(self._capabilities)

    def agent(
        self,
        agent: Agent[DepsT, OutputT],
        *,
        capability: str | None = None,
        description: str | None = None,
        fallback: Sequence[str | Model] = (),
        deps: DepsT | None = None,
        offline: OfflineRules | None = None,
        retry: Retry = NO_RETRY,
        concurrency: int | None = None,
    ) -> Agent[DepsT, OutputT]:
        """Register a pydantic-ai agent and give it back, so that tools can be added to it as always.

        Args:
            agent: has a name. Without a model of its own it gets the one that the settings choose.
            capability: what it is asked for; its name, unless given.
            description: for those who list the agents; the agent's own, unless given.
            fallback: models to try, in order, when the agent's own fails.
            deps: the dependencies of every run.
            offline: how the offline model plays this agent when no provider key is set.
            retry: how failed attempts at its tasks are followed by others; not at all, unless given.
            concurrency: how many of its tasks may run at once, over all workers.

        Raises:
            RegistrationError: the name or the capability is missing, malformed or taken, or the limit isn't one.
        """
        if not isinstance(agent, Agent):
            raise RegistrationError(
                f"{agent!r} is no pydantic-ai Agent",
                hint="weaver.agent takes Agent(name=..., instructions=...); a function is a weaver.workflow",
            )
        if agent.name is None:
            raise RegistrationError("the agent has no name", hint="give it one: Agent(name='billing', ...)")
        name = _valid_name(agent.name, "an agent's name")
        own = agent.description
        self._register(
            RegisteredAgent(
                name=name,
                capability=_valid_name(capability if capability is not None else name, "a capability"),
                agent=agent,
                description=description or (own if isinstance(own, str) else None),
                fallback=tuple(fallback),
                deps=deps,
                offline=offline or OfflineRules(),
                tasks=TaskPolicy(retry=retry, concurrency=concurrency),
            )
        )
        return agent

    def workflow(
        self,
        name: str,
        *,
        capability: str | None = None,
        description: str | None = None,
        retry: Retry = NO_RETRY,
        concurrency: int | None = None,
    ) -> Callable[[WorkflowFunction[InT, OutputT]], WorkflowFunction[InT, OutputT]]:
        """Register a plain async function of a `Run` and an input; a decorator that leaves the function as it is.

        Args:
            name: of the workflow.
            capability: what it is asked for; its name, unless given.
            description: for those who list the workflows; the first line of the docstring, unless given.
            retry: how failed attempts at its tasks are followed by others, which don't run its finished steps again;
                not at all, unless given.
            concurrency: how many of its tasks may run at once, over all workers.

        Raises:
            RegistrationError: the name or the capability is malformed or taken, or the function or the limit doesn't
                fit.
        """
        policy = TaskPolicy(retry=retry, concurrency=concurrency)

        def register(function: WorkflowFunction[InT, OutputT]) -> WorkflowFunction[InT, OutputT]:
            valid = _valid_name(name, "a workflow's name")
            self._register(
                RegisteredWorkflow(
                    name=valid,
                    capability=_valid_name(capability if capability is not None else valid, "a capability"),
                    function=function,
                    input_type=_input_type(function, valid),
                    description=description or (inspect.getdoc(function) or "").partition("\n")[0] or None,
                    tasks=policy,
                )
            )
            return function

        return register

    def find_agent(self, name: str) -> RegisteredAgent:
        """The agent of that name.

        Raises:
            AgentNotFound: there is none; the hint says what was perhaps meant.
        """
        return self._found(name, self.agents, AgentNotFound, "agent")

    def find_workflow(self, name: str) -> RegisteredWorkflow:
        """The workflow of that name.

        Raises:
            WorkflowNotFound: there is none; the hint says what was perhaps meant.
        """
        return self._found(name, self.workflows, WorkflowNotFound, "workflow")

    def find(self, name: str) -> Entry:
        """The agent or the workflow of that name.

        Raises:
            AgentNotFound: there is neither; the hint says what was perhaps meant.
        """
        return self._found(name, self._entries, AgentNotFound, "agent or workflow")

    def find_capability(self, capability: str) -> Entry:
        """Whoever has that capability.

        Raises:
            CapabilityNotFound: nobody has; the hint says what was perhaps meant.
        """
        if (found := self._capabilities.get(capability)) is not None:
            return found
        if (named := self._entries.get(capability)) is not None:
            hint: str | None = f"{capability!r} is a name; its capability is {named.capability!r}"
        else:
            hint = did_you_mean(capability, self._capabilities)
        raise CapabilityNotFound(f"nobody has the capability {capability!r}", hint=hint)

    def capability_of(self, agent: Agent[Any, Any]) -> Entry:
        """The entry of an agent object.

        Raises:
            CapabilityNotFound: it isn't registered here.
        """
        for entry in self.agents.values():
            if entry.agent is agent:
                return entry
        raise CapabilityNotFound(
            f"the agent {agent.name!r} isn't registered with {self.name!r}", hint="register it with weaver.agent(...)"
        )

    def _found(self, name: str, among: Mapping[str, FoundT], missing: type[WeaverError], what: str) -> FoundT:
        if (found := among.get(name)) is not None:
            return found
        other = self._entries.get(name)
        hint = did_you_mean(name, among) if other is None else f"{name!r} is {_article(other)}"
        raise missing(f"no {what} {name!r}", hint=hint)

    def _register(self, entry: Entry) -> None:
        if (taken := self._entries.get(entry.name)) is not None:
            raise RegistrationError(
                f"the name {entry.name!r} is taken by {_article(taken)}",
                hint="names are unique among agents and workflows, for both are asked for by name",
            )
        if (holder := self._capabilities.get(entry.capability)) is not None:
            raise RegistrationError(
                f"the capability {entry.capability!r} of {entry.name!r} is taken by {_article(holder)} {holder.name!r}"
            )
        self._entries[entry.name] = entry
        self._capabilities[entry.capability] = entry


def did_you_mean(asked: str, known: Mapping[str, object]) -> str | None:
    """A guess at what was meant, or what there is, not all of it where it is much; None when there is nothing."""
    if close := get_close_matches(asked, known, n=1):
        return f"did you mean {close[0]!r}?"
    shown = ", ".join(map(repr, list(known)[:_MOST_NAMES]))
    more = len(known) - _MOST_NAMES
    return (f"there is {shown}, and {more} more" if more > 0 else f"there is {shown}") if known else None


def _article(entry: Entry) -> str:
    return "an agent" if entry.kind == "agent" else "a workflow"


def _valid_name(name: object, what: str) -> str:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise RegistrationError(
            f"{what} can't be {name!r}",
            hint="up to 64 letters, digits, '.', '_' and '-', the first a letter or a digit",
        )
    return name


def _input_type(function: Callable[..., Any], name: str) -> Any:
    parameters = [] if not inspect.iscoroutinefunction(function) else list(inspect.signature(function).parameters)
    if len(parameters) != 2:  # noqa: PLR2004 - the run and the input
        raise RegistrationError(
            f"the workflow {name!r} is no async function of two parameters",
            hint=f"write: async def {name.replace('-', '_').replace('.', '_')}(run: Run, input: str) -> str",
        )
    try:
        annotation = get_type_hints(function, include_extras=True).get(parameters[1], Any)
        TypeAdapter(annotation)
    except (NameError, PydanticUserError) as error:
        raise RegistrationError(
            f"the workflow {name!r} has a parameter {parameters[1]!r} whose annotation can't be used: {error}",
            hint="annotate it with a type that pydantic knows, defined at module level",
        ) from error
    return annotation


def _problem(location: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, location))}: {message}" if location else message
