"""Several processes started together: what each prints is shown with its name, and so is that it ended."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from weaver_ai.watchdog import Watchdog

__all__ = ["Crew", "Member", "MemberFailed"]

_LONGEST_LINE: Final = 1_000_000
_NAME_WIDTH: Final = 9
_BANNER: Final = ("weaver ", "  ", "Try it:")


class MemberFailed(Exception):
    """A process ended before it was ready."""


class Member:
    """One process. What it prints is kept back until `show` is called.

    Args:
        name: what its output is marked with.
        process: already started.
        is_ready: whether a line of its output says that it is; `ready` is set then.
        is_unexpected: whether a line that comes before is worth showing of one that starts well.
        on_end: called with its number when it has ended.
    """

    def __init__(
        self,
        name: str,
        process: asyncio.subprocess.Process,
        is_ready: Callable[[str], bool],
        is_unexpected: Callable[[str], bool],
        on_end: Callable[[int], None],
    ) -> None:
        self.name: Final = name
        self.is_unexpected: Final = is_unexpected
        self.ready: Final = asyncio.Event()
        self._process = process
        self._is_ready = is_ready
        self._kept: list[str] | None = []
        self._on_end = on_end
        self._reading = asyncio.create_task(self._read(), name=f"output of {name}")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None

    async def ended(self) -> str:
        """Wait until it ends; how it did."""
        code = await self._process.wait()
        await asyncio.wait({self._reading})  # which a cancelled wait leaves alone
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with {code}"

    def send(self, number: signal.Signals) -> None:
        if not self.has_ended:
            with suppress(ProcessLookupError):  # it was faster
                self._process.send_signal(number)

    def show(self, wanted: Callable[[str], bool] = lambda _line: True) -> None:
        """Show what was kept back and is wanted, and from now on everything."""
        kept, self._kept = self._kept or [], None
        for line in filter(wanted, kept):
            self._print(line)

    async def _read(self) -> None:
        stream = self._process.stdout
        while stream is not None and (data := await stream.readline()):
            line = data.decode("utf-8", "replace").rstrip("\n")
            if self._kept is None:
                self._print(line)
            else:
                self._kept.append(line)
                if self._is_ready(line):
                    self.ready.set()
        await self._process.wait()
        self._on_end(self.pid)

    def _print(self, line: str) -> None:
        print(f"{self.name:<{_NAME_WIDTH}} | {line}", flush=True)


class Crew:
    """The processes. Whoever starts one ends all by `end`; if it is killed, `watchdog` does.

    Args:
        watchdog: is told of each.
    """

    def __init__(self, watchdog: Watchdog) -> None:
        self.members: Final[list[Member]] = []
        self._watchdog = watchdog

    async def start(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        is_ready: Callable[[str], bool],
        is_unexpected: Callable[[str], bool] = lambda _line: False,
    ) -> Member:
        """Start one more. It gets no Ctrl-C of the terminal: the crew ends in its own order."""
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_LONGEST_LINE,
            start_new_session=True,
        )
        self._watchdog.watch(process.pid)
        member = Member(name, process, is_ready, is_unexpected, self._watchdog.forget)
        self.members.append(member)
        return member

    async def start_weaver(self, name: str, *arguments: str, env: Mapping[str, str]) -> Member:
        """Start `weaver` with these arguments; it is ready when it has told what it serves."""
        command = [sys.executable, "-m", "weaver_ai", *arguments]
        return await self.start(name, command, {**env, "PYTHONUNBUFFERED": "1"}, _has_told_all, _is_no_banner)

    async def all_ready(self, seconds: float) -> None:
        """Wait until all are ready; of what they have printed only that is shown which nobody expects of a start.

        Raises:
            MemberFailed: one ended instead, or isn't ready in time; its output has been shown.
        """
        await asyncio.gather(*(_ready(member, seconds) for member in self.members))
        for member in self.members:
            member.show(member.is_unexpected)

    async def watch(self) -> None:
        """Tell of each that ends, until none runs."""

        async def tell(member: Member) -> None:
            how = await member.ended()
            left = [each.name for each in self.members if not each.has_ended]
            print(f"{member.name} (pid {member.pid}) {how}; still running: {', '.join(left) or 'nothing'}", flush=True)

        await asyncio.gather(*(tell(member) for member in self.members))

    async def end(self, patience: float) -> None:
        """End all by SIGTERM, the first one last, for the others need it; what is late is killed."""
        for group in (self.members[1:], self.members[:1]):
            for member in group:
                member.send(signal.SIGTERM)
            if not await _gone(group, patience):
                self.kill(group)
                await _gone(group, None)

    def kill(self, members: Sequence[Member] | None = None) -> None:
        """End them, or all, at once."""
        for member in self.members if members is None else members:
            member.send(signal.SIGKILL)


async def _ready(member: Member, seconds: float) -> None:
    ready = asyncio.create_task(member.ready.wait())
    ended = asyncio.create_task(member.ended())
    try:
        done, _ = await asyncio.wait({ready, ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if ready not in done:
            member.show()
            raise MemberFailed(f"{member.name} {ended.result()}" if done else f"{member.name} isn't ready in time")
    finally:
        ready.cancel()
        ended.cancel()


async def _gone(members: Sequence[Member], patience: float | None) -> bool:
    waiting = [asyncio.create_task(member.ended()) for member in members]
    if not waiting:
        return True
    _, late = await asyncio.wait(waiting, timeout=patience)
    for task in late:
        task.cancel()
    return not late


def _is_no_banner(line: str) -> bool:
    return not line.startswith(_BANNER)


def _has_told_all(line: str) -> bool:
    return line.startswith("  telemetry ")
