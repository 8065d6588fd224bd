"""Run agents and workflows: to a result, or as a stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final
from uuid import uuid4

from pydantic_ai.capabilities import ReinjectSystemPrompt
from pydantic_ai.exceptions import UserError
from pydantic_ai.toolsets import ExternalToolset

from weaver_ai.agents.as_json import shown
from weaver_ai.agents.cost import cost_of, counting
from weaver_ai.agents.events import RunEvent, RunFinished, RunStarted, StepFinished, StepStarted
from weaver_ai.agents.job import Job
from weaver_ai.agents.models import Models, ProviderStatus, is_offline, leaves
from weaver_ai.agents.options import RunOptions, model_settings_of, output_type_of, prompt_of, tool_results_of
from weaver_ai.agents.part import Part
from weaver_ai.agents.registry import Entry, RegisteredAgent, RegisteredWorkflow, Weaver
from weaver_ai.agents.replay import Replay
from weaver_ai.agents.result import Ledger, RunResult, Step, Usage
from weaver_ai.agents.watch import Emit, current_trace_id
from weaver_ai.agents.workflows import Capability, Run
from weaver_ai.errors import InvalidInput, RunFailed
from weaver_ai.settings import Settings
from weaver_ai.tasks.steps import Asked
from weaver_ai.telemetry import names
from weaver_ai.telemetry.logs import bind_log_context, log_warning
from weaver_ai.telemetry.spans import start_span

__all__ = ["Runner"]

_MAX_DEPTH: Final = 16
_BUFFERED_EVENTS: Final = 16


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
        """Resolve every agent's model now rather than at its first run, and log what isn't as it was asked for.

        Raises:
            SettingsError: a model's name is unknown, or its provider isn't configured.
        """
        for entry in self.weaver.agents.values():
            for remark in self.models.remarks(entry):
                log_warning(f"the agent {entry.name!r}: {remark}", **{names.AGENT_NAME: entry.name})

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
        self,
        entry: Entry,
        value: object,
        options: RunOptions | None = None,
        *,
        ledger: Ledger | None = None,
        replay: Replay | None = None,
    ) -> AsyncGenerator[RunEvent, None]:
        """Run an agent or a workflow and tell what happens, from `RunStarted` to `RunFinished`.

        With `replay`, agents' steps of a workflow that an earlier attempt finished aren't run again.

        Closing the stream, or cancelling its consumer, cancels the run. A slow consumer slows it down.

        Raises:
            WeaverError: as `run` does, in place of `RunFinished`.
        """
        room = asyncio.Semaphore(_BUFFERED_EVENTS)
        events: asyncio.Queue[RunEvent | None] = asyncio.Queue()

        async def emit(event: RunEvent) -> None:
            await room.acquire()
            events.put_nowait(event)

        run = asyncio.create_task(
            self._execute(entry, value, options or RunOptions(), ledger or Ledger(), emit, replay)
        )
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

    async def _execute(  # noqa: PLR0917 - what two callers give it
        self,
        entry: Entry,
        value: object,
        options: RunOptions,
        ledger: Ledger,
        emit: Emit | None,
        replay: Replay | None = None,
    ) -> RunResult:
        seconds = options.timeout_seconds if options.timeout_seconds is not None else self._timeout_seconds
        job = Job(
            run_id=uuid4().hex,
            options=options,
            ledger=ledger,
            emit=emit,
            deadline=asyncio.get_running_loop().time() + seconds,
            seconds=seconds,
            replay=replay,
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
            result = part.result(job.run_id, entry)
            await job.tell(RunFinished(result=result))
            return result

    async def _workflow(
        self, entry: RegisteredWorkflow, value: object, job: Job, prefix: str = "", asked: Asked | None = None
    ) -> Part:
        if prefix.count(".") > _MAX_DEPTH:
            raise RunFailed(f"the workflow {entry.name!r} calls itself more than {_MAX_DEPTH} deep")
        checked = entry.validate(value)
        ledger, parts = Ledger(), list[Part]()
        attributes: dict[str, Any] = {
            names.WORKFLOW_NAME: entry.name,
            names.CAPABILITY: entry.capability,
            names.RUN_ID: job.run_id,
        }

        async def call(capability: Capability, step_value: object, number: str) -> Step[Any]:
            called = self._called(capability)
            inner = None if job.replay is None else job.replay.asked(called, step_value, asked)
            try:
                part = await self._step(called, step_value, job.counting(ledger), prefix + number, inner)
            except BaseException:  # of whatever kind, cancellations included: the workflow may go on from it
                if job.replay is not None:
                    job.replay.log.unkept()
                raise
            parts.append(part)
            return part.step(called)

        with start_span(names.SPAN_WORKFLOW.format(name=entry.name), **attributes) as span:
            trace_id = current_trace_id()
            if not prefix:
                await job.tell(RunStarted(run_id=job.run_id, name=entry.name, kind="workflow", trace_id=trace_id))
            try:
                with job.limits(entry):
                    async with asyncio.timeout_at(None if prefix else job.deadline):
                        output = await entry.function(Run(job.run_id, call), checked)
                    if job.replay is not None and not prefix:
                        job.replay.log.check()
            finally:
                job.ledger.add(ledger.usage, ledger.cost)
            span.set_attribute(names.MODEL_OFFLINE, any(part.offline for part in parts))
            if ledger.cost is not None:
                span.set_attribute(names.RUN_COST, float(ledger.cost))
        return Part.of_steps(parts, output, ledger, trace_id)

    def _called(self, capability: Capability) -> Entry:
        if isinstance(capability, str):
            return self.weaver.find_capability(capability)
        return self.weaver.capability_of(capability)

    async def _step(self, entry: Entry, value: object, job: Job, step: str, asked: Asked | None) -> Part:
        await job.tell(StepStarted(step=step, name=entry.name, capability=entry.capability))
        if isinstance(entry, RegisteredAgent):
            with job.limits(entry, self._providers_of(entry)):
                part = await self._agent_step(entry, value, job, step, asked)
        else:
            part = await self._workflow(entry, value, job, f"{step}.", asked)
        finished = StepFinished(
            step=step, name=entry.name, capability=entry.capability, output=shown(part.output), usage=part.usage
        )
        await job.tell(finished)
        return part

    async def _agent_step(
        self, entry: RegisteredAgent, value: object, job: Job, step: str, asked: Asked | None
    ) -> Part:
        if job.replay is None or asked is None:
            return await self._agent(entry, value, job, step)
        if (part := job.replay.recall(asked, entry)) is not None:
            job.ledger.add(part.usage, part.cost)
            return part
        part = await self._agent(entry, value, job, step)
        await job.replay.keep(asked, entry, part)
        return part

    async def _agent(self, entry: RegisteredAgent, value: object, job: Job, step: str | None = None) -> Part:
        model = self.models.of(entry)
        prompt = prompt_of(entry, value, job.options if step is None else RunOptions())
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
            lambda error: job.failure(error, entry, self._providers_of(entry)).code,
            step,
        )
        with counting() as usage:
            try:
                result = await entry.agent.run(
                    prompt,
                    model=model,
                    deps=entry.deps,
                    run_id=run_id,
                    usage=usage,
                    message_history=list(options.history) or None,
                    instructions=options.instructions,
                    model_settings=model_settings_of(options),
                    output_type=output_type_of(entry, options),
                    toolsets=[ExternalToolset(list(options.tools))] if options.tools else None,
                    deferred_tool_results=tool_results_of(options),
                    capabilities=[
                        watch,
                        *self.models.names(entry),
                        *([ReinjectSystemPrompt()] if options.history else []),
                    ],
                )
            except UserError as error:
                if (options.tools or options.output_schema) and usage.requests == 0:
                    raise InvalidInput(
                        f"the agent {entry.name!r} can't run with {'these tools' if options.tools else 'that output'}",
                        hint=error.message,
                    ) from error
                raise
            finally:
                cost = None if watch.interrupted else cost_of(usage, watch.answers)
                job.ledger.add(Usage.of(usage), cost)
        return Part.of(result, usage, cost, watch)

    def _providers_of(self, entry: RegisteredAgent) -> dict[str, str]:
        return {leaf.model_name: leaf.system for leaf in self.models.answering(entry)}
