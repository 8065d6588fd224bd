"""What a workflow is given to call capabilities with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeAlias, TypeVar, overload

from pydantic_ai import Agent

from weaver_ai.agents.result import Step

__all__ = ["Run", "StepCaller"]

OutputT = TypeVar("OutputT")
Capability: TypeAlias = str | Agent[Any, Any]
StepCaller: TypeAlias = Callable[[Capability, Any, str], Awaitable[Step[Any]]]


class Run:
    """One run of a workflow. Call it with a capability and an input, as often as needed, in sequence or at once.

    Attributes:
        id: of the run, as in its result and on its span.

    Example:
        >>> async def support(run: Run, input: str) -> str:
        ...     kind = await run("classify", input)
        ...     return (await run(kind.output.team, input)).text
    """

    def __init__(self, run_id: str, call: StepCaller) -> None:
        self.id: Final = run_id
        self._call = call
        self._steps = 0

    @overload
    async def __call__(self, capability: Agent[Any, OutputT], input: Any) -> Step[OutputT]: ...
    @overload
    async def __call__(self, capability: str, input: Any) -> Step[Any]: ...
    async def __call__(self, capability: Capability, input: Any) -> Step[Any]:  # noqa: A002 - the word of the API
        """Run whoever has the capability and wait for what comes of it.

        Args:
            capability: its name, or the agent itself, which types the output.
            input: text for an agent; anything else is given to it as JSON. A workflow gets what its parameter says.

        Raises:
            CapabilityNotFound: nobody has it.
            RunFailed: the step failed; the kinds of failure are its subclasses.
        """
        return await self._call(capability, input, self._next())

    async def parallel(self, calls: Iterable[tuple[Capability, Any]]) -> list[Step[Any]]:
        """Run several at once; what comes of them is in the order of `calls`.

        When one fails the others are cancelled, and its error is raised.

        Raises:
            CapabilityNotFound: nobody has one of the capabilities.
            RunFailed: a step failed.
        """
        tasks: list[asyncio.Task[Step[Any]]] = []
        try:
            async with asyncio.TaskGroup() as group:
                for capability, value in calls:
                    tasks.append(group.create_task(self._step(capability, value, self._next())))
        except BaseExceptionGroup as failed:
            # One error, not a group: the caller of `run` and of `run.parallel` handles the same classes.
            raise _first(failed) from failed
        return [task.result() for task in tasks]

    async def _step(self, capability: Capability, value: Any, step: str) -> Step[Any]:
        return await self._call(capability, value, step)

    def _next(self) -> str:
        self._steps += 1
        return str(self._steps)


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    error = failed.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
