"""Run agents and workflows: to a result, or as a stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import uuid4

from pydantic import JsonValue, TypeAdapter
from pydantic_ai import (
    AgentRunResult,
    DeferredToolRequests,
    DeferredToolResults,
    RunUsage,
    StructuredDict,
    capture_run_messages,
)
from pydantic_ai.capabilities import ReinjectSystemPrompt
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
)
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import ExternalToolset
from pydantic_core import to_json, to_jsonable_python

from weaver_ai.agents.events import RunEvent, RunFinished, RunStarted, StepFinished, StepStarted
from weaver_ai.agents.failures import failure_of
from weaver_ai.agents.models import Models, ProviderStatus, is_offline, leaves
from weaver_ai.agents.offline import OFFLINE_PROVIDER
from weaver_ai.agents.registry import Entry, RegisteredAgent, RegisteredWorkflow, Weaver
from weaver_ai.agents.result import Ledger, PendingCall, RunResult, Step, ToolCall, Usage
from weaver_ai.agents.watch import Emit, Relay, Watch, arguments_of, current_trace_id
from weaver_ai.agents.workflows import Capability, Run
from weaver_ai.errors import CapabilityNotFound, InvalidInput, RunFailed, RunTimeout, WeaverError
from weaver_ai.settings import Settings
from weaver_ai.telemetry import names
from weaver_ai.telemetry.logs import bind_log_context, log_error
from weaver_ai.telemetry.spans import start_span

__all__ = ["RunOptions", "Runner"]

_MAX_DEPTH: Final = 16
_BUFFERED_EVENTS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a single run may be given besides its input. All but the timeout are for agents only.

    Attributes:
        timeout_seconds: how long the run may take; the settings' `run_timeout_seconds`, unless given.
        history: earlier messages of the conversation, as pydantic-ai has them.
        tools: the caller's own tools. A run whose model calls one ends with `pending` calls.
        tool_results: for every pending call of the history's last response, by the call's id.
        model_settings: temperature and the like; they go over the agent's own.
        instructions: added to the agent's.
        output_schema: JSON schema of an object that the answer has to be, in place of the agent's own output.
    """

    timeout_seconds: float | None = None
    history: Sequence[ModelMessage] = ()
    tools: Sequence[ToolDefinition] = ()
    tool_results: Mapping[str, JsonValue] = field(default_factory=dict)
    model_settings: ModelSettings | None = None
    instructions: str | None = None
    output_schema: Mapping[str, Any] | None = None


class Runner:
    """Runs what a Weaver has, with the models that the settings give.

    One for a process, in one event loop; any number of runs at once. Close it when the loop ends.

    Example:
        >>> async def main(runner: Runner) -> str:
        ...     return (await runner.run(runner.weaver.find_agent("billing"), "refund order 7")).text
    """

    def __init__(self, weaver: Weaver, settings: Settings) -> None:
        self.weaver: Final = weaver
        self.models: Final = Models(settings)
        self._timeout_seconds = settings.run_timeout_seconds

    def prepare(self) -> None:
        """Resolve every agent's model now rather than at its first run.

        Raises:
            SettingsError: a model's name is unknown, or its provider isn't configured.
        """
        for entry in self.weaver.agents.values():
            self.models.of(entry)

    def providers(self) -> tuple[ProviderStatus, ...]:
        """The model providers, as far as they can be told without calling them."""
        return self.models.providers()

    async def run(
        self, entry: Entry, value: object, options: RunOptions | None = None, *, ledger: Ledger | None = None
    ) -> RunResult:
        """Run an agent or a workflow to its end.

        Args:
            entry: from the Weaver, e.g. `weaver.find("billing")`.
            value: text for an agent, or None when the history says it all; anything else is given to it as JSON.
                A workflow gets what its parameter says.
            options: of this run.
            ledger: counts what is used, readable when the run has failed.

        Raises:
            InvalidInput: the value or the options don't fit.
            RunTimeout: the run took longer than it may; its model calls are cancelled.
            RunFailed: it failed; a ProviderError says that a model provider is to blame.
            CapabilityNotFound: never from here: a workflow that asks for what nobody has has failed.
        """
        return await self._execute(entry, value, options or RunOptions(), ledger or Ledger(), None)

    async def stream(
        self, entry: Entry, value: object, options: RunOptions | None = None, *, ledger: Ledger | None = None
    ) -> AsyncGenerator[RunEvent, None]:
        """Run an agent or a workflow and tell what happens, from `RunStarted` to `RunFinished`.

        Closing the stream, or cancelling its consumer, cancels the run. A slow consumer slows it down.

        Raises:
            WeaverError: as `run` does, in place of `RunFinished`.
        """
        room = asyncio.Semaphore(_BUFFERED_EVENTS)
        events: asyncio.Queue[RunEvent | None] = asyncio.Queue()

        async def emit(event: RunEvent) -> None:
            await room.acquire()
            events.put_nowait(event)

        run = asyncio.create_task(self._execute(entry, value, options or RunOptions(), ledger or Ledger(), emit))
        run.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
                room.release()
            await run
        finally:
            run.cancel()
            await asyncio.wait({run})
            if not run.cancelled():
                run.exception()  # it has been raised, or nobody is there to see it

    async def aclose(self) -> None:
        """Close the clients of the providers."""
        await self.models.aclose()

    async def _execute(
        self, entry: Entry, value: object, options: RunOptions, ledger: Ledger, emit: Emit | None
    ) -> RunResult:
        seconds = options.timeout_seconds if options.timeout_seconds is not None else self._timeout_seconds
        job = _Job(
            run_id=uuid4().hex,
            options=options,
            ledger=ledger,
            emit=emit,
            deadline=asyncio.get_running_loop().time() + seconds,
            seconds=seconds,
        )
        with bind_log_context(run_id=job.run_id, **{entry.kind: entry.name}):
            if isinstance(entry, RegisteredAgent):
                await job.tell(
                    RunStarted(run_id=job.run_id, name=entry.name, kind="agent", trace_id=current_trace_id())
                )
                with job.limits(entry, self._providers_of(entry)):
                    async with asyncio.timeout_at(job.deadline):
                        part = await self._agent(entry, value, job)
            else:
                if options != RunOptions(timeout_seconds=options.timeout_seconds):
                    raise InvalidInput(f"the workflow {entry.name!r} takes an input, no history, tools or settings")
                part = await self._workflow(entry, value, job)
            result = part.result(job, entry)
            await job.tell(RunFinished(result=result))
            return result

    async def _workflow(self, entry: RegisteredWorkflow, value: object, job: _Job, prefix: str = "") -> _Part:
        if prefix.count(".") > _MAX_DEPTH:
            raise RunFailed(f"the workflow {entry.name!r} calls itself more than {_MAX_DEPTH} deep")
        checked = entry.validate(value)
        ledger, parts = Ledger(), list[_Part]()
        attributes: dict[str, Any] = {
            names.WORKFLOW_NAME: entry.name,
            names.CAPABILITY: entry.capability,
            names.RUN_ID: job.run_id,
        }

        async def call(capability: Capability, step_value: object, number: str) -> Step[Any]:
            part, step = await self._step(capability, step_value, job.counting(ledger), prefix + number)
            parts.append(part)
            return step

        with start_span(names.SPAN_WORKFLOW.format(name=entry.name), **attributes) as span:
            trace_id = current_trace_id()
            if not prefix:
                await job.tell(RunStarted(run_id=job.run_id, name=entry.name, kind="workflow", trace_id=trace_id))
            try:
                with job.limits(entry):
                    async with asyncio.timeout_at(None if prefix else job.deadline):
                        output = await entry.function(Run(job.run_id, call), checked)
            finally:
                job.ledger.add(ledger.usage, ledger.cost)
            span.set_attribute(names.MODEL_OFFLINE, any(part.offline for part in parts))
            if ledger.cost is not None:
                span.set_attribute(names.RUN_COST, float(ledger.cost))
        return _Part(
            output=output,
            usage=ledger.usage,
            cost=ledger.cost,
            model=_joined(part.model for part in parts),
            provider=_joined(part.provider for part in parts),
            offline=any(part.offline for part in parts),
            trace_id=trace_id,
            tool_calls=tuple(call for part in parts for call in part.tool_calls),
        )

    async def _step(self, capability: Capability, value: object, job: _Job, step: str) -> tuple[_Part, Step[Any]]:
        entry = (
            self.weaver.find_capability(capability)
            if isinstance(capability, str)
            else self.weaver.capability_of(capability)
        )
        await job.tell(StepStarted(step=step, name=entry.name, capability=entry.capability))
        if isinstance(entry, RegisteredAgent):
            with job.limits(entry, self._providers_of(entry)):
                part = await self._agent(entry, value, job, step)
        else:
            part = await self._workflow(entry, value, job, f"{step}.")
        finished = StepFinished(
            step=step, name=entry.name, capability=entry.capability, output=_json(part.output), usage=part.usage
        )
        await job.tell(finished)
        return part, Step(
            name=entry.name,
            capability=entry.capability,
            output=part.output,
            text=_text(part.output),
            usage=part.usage,
            cost=part.cost,
            model=part.model,
        )

    async def _agent(self, entry: RegisteredAgent, value: object, job: _Job, step: str | None = None) -> _Part:
        model = self.models.of(entry)
        prompt = _prompt(entry, value, job.options if step is None else RunOptions())
        options = job.options if step is None else RunOptions()
        run_id = job.run_id if step is None else f"{job.run_id}-{step}"
        offline = all(is_offline(leaf) for leaf in leaves(model))
        watch = job.watch(
            {
                names.AGENT_NAME: entry.name,
                names.CAPABILITY: entry.capability,
                names.RUN_ID: job.run_id,
                names.MODEL_OFFLINE: offline,
            },
            step,
        )
        usage = RunUsage()
        with capture_run_messages() as seen:
            try:
                result = await entry.agent.run(
                    prompt,
                    model=model,
                    deps=entry.deps,
                    run_id=run_id,
                    usage=usage,
                    message_history=list(options.history) or None,
                    instructions=options.instructions,
                    model_settings=options.model_settings,
                    output_type=_output_type(entry, options),
                    toolsets=[ExternalToolset(list(options.tools))] if options.tools else None,
                    deferred_tool_results=_tool_results(options),
                    capabilities=[watch, ReinjectSystemPrompt()] if options.history else [watch],
                )
            except UserError as error:
                if (options.tools or options.output_schema) and usage.requests == 0:
                    raise InvalidInput(
                        f"the agent {entry.name!r} can't run with {'these tools' if options.tools else 'that output'}",
                        hint=error.message,
                    ) from error
                raise
            finally:
                cost = _cost(usage, seen, run_id)
                job.ledger.add(Usage.of(usage), cost)
        return _Part.of(result, usage, cost, watch)

    def _providers_of(self, entry: RegisteredAgent) -> dict[str, str]:
        return {leaf.model_name: leaf.system for leaf in leaves(self.models.of(entry))}


@dataclass(slots=True)
class _Job:
    """One run with all its steps."""

    run_id: str
    options: RunOptions
    ledger: Ledger
    emit: Emit | None
    deadline: float
    seconds: float

    def counting(self, ledger: Ledger) -> _Job:
        """The same run, with what its steps use in another ledger."""
        return _Job(self.run_id, self.options, ledger, self.emit, self.deadline, self.seconds)

    async def tell(self, event: RunEvent) -> None:
        if self.emit is not None:
            await self.emit(event)

    def watch(self, attributes: Mapping[str, str | int | bool], step: str | None) -> Watch:
        if self.emit is None:
            return Watch(attributes=attributes, deadline=self.deadline)
        return Relay(attributes=attributes, deadline=self.deadline, emit=self.emit, step=step)

    @contextmanager
    def limits(self, entry: Entry, providers: Mapping[str, str] | None = None) -> Iterator[None]:
        """Give whatever leaves the block its class of `weaver_ai.errors`; `providers` is by model name."""
        try:
            yield
        except CapabilityNotFound as error:
            # The caller asked for `entry`, and that exists: what it asked for in turn is its own mistake.
            raise RunFailed(f"the {entry.kind} {entry.name!r} failed: {error.message}", hint=error.hint) from error
        except WeaverError:
            raise
        except Exception as error:
            raise self._failure(error, entry, providers or {}) from error

    def _failure(self, error: Exception, entry: Entry, providers: Mapping[str, str]) -> WeaverError:
        if isinstance(error, TimeoutError) and asyncio.get_running_loop().time() >= self.deadline:
            return RunTimeout(f"the {entry.kind} {entry.name!r} took longer than {self.seconds:g} seconds")
        failure = failure_of(error, name=entry.name, kind=entry.kind, providers=providers)
        if type(failure) is RunFailed:
            log_error(f"the {entry.kind} failed", exception=error)
        return failure


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What came of one agent or workflow inside of a run."""

    output: Any
    usage: Usage
    cost: Decimal | None
    model: str | None
    provider: str | None
    offline: bool
    trace_id: str | None
    tool_calls: tuple[ToolCall, ...] = ()
    pending: tuple[PendingCall, ...] = ()
    messages: tuple[ModelMessage, ...] = ()

    @classmethod
    def of(cls, result: AgentRunResult[Any], usage: RunUsage, cost: Decimal | None, watch: Watch) -> _Part:
        answer = result.response
        return cls(
            output=result.output,
            usage=Usage.of(usage),
            cost=cost,
            model=answer.model_name,
            provider=answer.provider_name,
            offline=answer.provider_name == OFFLINE_PROVIDER,
            trace_id=watch.trace_id,
            tool_calls=tuple(watch.calls),
            pending=tuple(_pending(result.output)),
            messages=tuple(result.new_messages()),
        )

    def result(self, job: _Job, entry: Entry) -> RunResult:
        return RunResult(
            run_id=job.run_id,
            name=entry.name,
            kind=entry.kind,
            output=None if self.pending else _json(self.output),
            text=_spoken(self.messages) if self.pending else _text(self.output),
            usage=self.usage,
            cost=self.cost,
            model=self.model,
            provider=self.provider,
            offline=self.offline,
            trace_id=self.trace_id,
            tool_calls=self.tool_calls,
            pending=self.pending,
            messages=self.messages,
        )


def _prompt(entry: RegisteredAgent, value: object, options: RunOptions) -> str | None:
    if value is None:
        if not options.history:
            raise InvalidInput(f"the agent {entry.name!r} needs an input")
        return None
    if isinstance(value, str):
        if not value.strip():
            raise InvalidInput(f"the input of the agent {entry.name!r} is empty")
        return value
    return to_json(value).decode()


def _output_type(entry: RegisteredAgent, options: RunOptions) -> Any:
    if options.output_schema is None and not options.tools:
        return None
    own = entry.agent.output_type if options.output_schema is None else _structured(options.output_schema)
    if not options.tools:
        return own
    return [*own, DeferredToolRequests] if isinstance(own, list | tuple) else [own, DeferredToolRequests]


def _structured(schema: Mapping[str, Any]) -> Any:
    try:
        made = StructuredDict(dict(schema))
        TypeAdapter(made).json_schema()
    except UserError as error:
        raise InvalidInput("the output schema can't be used", hint=error.message) from error
    except KeyError as error:  # pydantic's, for a reference that leads nowhere
        raise InvalidInput("the output schema has a $ref to a definition that it doesn't have") from error
    return made


def _tool_results(options: RunOptions) -> DeferredToolResults | None:
    if not options.tool_results:
        return None
    last = options.history[-1] if options.history else None
    calls = {part.tool_call_id for part in last.parts if isinstance(part, ToolCallPart)} if last is not None else set()
    if unknown := sorted(options.tool_results.keys() - calls):
        raise InvalidInput(f"no pending tool call {unknown[0]!r}", hint="results go to the calls of the last response")
    if missing := sorted(calls - options.tool_results.keys()):
        raise InvalidInput(f"the pending tool call {missing[0]!r} has no result")
    return DeferredToolResults(calls=dict(options.tool_results))


def _cost(usage: RunUsage, seen: Iterable[ModelMessage], run_id: str) -> Decimal | None:
    """pydantic-ai sums the prices that it knows; a sum that lacks one is unknown."""
    answers = [message for message in seen if isinstance(message, ModelResponse) and message.run_id == run_id]
    if any(answer.usage.cost is None for answer in answers):
        return None
    return usage.cost if usage.cost is not None else Decimal(0)


def _pending(output: object) -> Iterator[PendingCall]:
    if not isinstance(output, DeferredToolRequests):
        return
    kinds: tuple[tuple[Literal["external", "approval"], list[ToolCallPart]], ...] = (
        ("external", output.calls),
        ("approval", output.approvals),
    )
    for kind, calls in kinds:
        for call in calls:
            yield PendingCall(id=call.tool_call_id, name=call.tool_name, arguments=arguments_of(call), kind=kind)


def _spoken(messages: Sequence[ModelMessage]) -> str:
    answers = [message for message in messages if isinstance(message, ModelResponse)]
    return "".join(part.content for part in answers[-1].parts if isinstance(part, TextPart)) if answers else ""


def _json(value: object) -> JsonValue:
    return to_jsonable_python(value, fallback=str)  # type: ignore[no-any-return]  # JSON, by what the function does


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value, fallback=str).decode()


def _joined(values: Iterable[str | None]) -> str | None:
    return ", ".join(dict.fromkeys(value for value in values if value is not None)) or None
