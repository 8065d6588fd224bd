"""One run while it lasts: what it was given, whom it tells, and what becomes of its failures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from weaver_ai.agents.events import RunEvent
from weaver_ai.agents.exits import contained
from weaver_ai.agents.failures import failure_of
from weaver_ai.agents.options import RunOptions
from weaver_ai.agents.registry import Entry
from weaver_ai.agents.replay import Replay
from weaver_ai.agents.result import Ledger
from weaver_ai.agents.watch import Emit, Relay, Watch, is_past
from weaver_ai.errors import CapabilityNotFound, RunFailed, RunTimeout, WeaverError
from weaver_ai.tasks.stopping import stopping
from weaver_ai.telemetry.logs import log_error

__all__ = ["Job"]


@dataclass(slots=True)
class Job:
    """One run with all its steps."""

    run_id: str
    options: RunOptions
    ledger: Ledger
    emit: Emit | None
    deadline: float
    seconds: float
    replay: Replay | None = None

    def counting(self, ledger: Ledger) -> Job:
        """The same run, with what its steps use in another ledger."""
        return Job(self.run_id, self.options, ledger, self.emit, self.deadline, self.seconds, self.replay)

    async def tell(self, event: RunEvent) -> None:
        if self.emit is not None:
            await self.emit(event)

    def watch(
        self, attributes: Mapping[str, str | int | bool], code_of: Callable[[Exception], str], step: str | None
    ) -> Watch:
        if self.emit is None:
            return Watch(attributes=attributes, code_of=code_of, deadline=self.deadline)
        return Relay(attributes=attributes, code_of=code_of, deadline=self.deadline, emit=self.emit, step=step)

    @contextmanager
    def limits(self, entry: Entry, providers: Mapping[str, str] | None = None) -> Iterator[None]:
        """Give whatever leaves the block its class of `weaver_ai.errors`; `providers` is by model name."""
        asked = stopping()
        try:
            with contained():
                yield
        except CapabilityNotFound as error:
            # The caller asked for `entry`, and that exists: what it asked for in turn is its own mistake.
            raise RunFailed(f"the {entry.kind} {entry.name!r} failed: {error.message}", hint=error.hint) from error
        except WeaverError:
            raise
        except asyncio.CancelledError as error:
            if asked():
                raise
            log_error(f"the {entry.kind} failed", exception=error)
            raise RunFailed(
                f"the {entry.kind} {entry.name!r} failed: something that it awaited was cancelled, and not the run",
                hint="a tool or a step let out the CancelledError of a task that it had awaited: catch it there",
            ) from error
        except Exception as error:  # agents and workflows are the user's code, which may raise anything
            failure = self.failure(error, entry, providers or {})
            if type(failure) is RunFailed:
                log_error(f"the {entry.kind} failed", exception=error)
            raise failure from error

    def failure(self, error: Exception, entry: Entry, providers: Mapping[str, str]) -> WeaverError:
        if isinstance(error, TimeoutError) and is_past(self.deadline):
            return RunTimeout(f"the {entry.kind} {entry.name!r} took longer than {self.seconds:g} seconds")
        return failure_of(error, name=entry.name, kind=entry.kind, providers=providers)
