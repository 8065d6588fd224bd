"""The vocabulary: what can go wrong at which edge, as values that can be named before anything is armed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NoReturn, Self, TypeAlias, TypeVar, final, get_args

__all__ = [
    "Edge",
    "ExporterFaults",
    "FaultSpec",
    "Phase",
    "ProviderFaults",
    "RedisFaults",
    "Vocabulary",
    "every",
    "fault",
]

Edge: TypeAlias = Literal["openai", "anthropic", "http", "redis", "exporter"]
Phase: TypeAlias = Literal["connect", "read", "write", "pool"]
Made = TypeVar("Made")

_CLIENT_ERRORS: Final = range(400, 600)


@final
@dataclass(frozen=True)
class FaultSpec:
    """One way in which one edge fails; arms nothing.

    Attributes:
        kind: the word of the vocabulary.
        target: where an `http` fault strikes, as `host`, `host:port` or `https://host/path`.
        seconds: of `slow`.
        status: of `status` and of the exporter's `rejects`.
        retry_after: seconds in the `Retry-After` header, or None for no header.
        phase: the part of a call that `timeout` hits.
        midway: `reset` comes after the first part of the answer.
        calls: the calls that it hits, counted from 1 when it is armed; empty for all.
        chance: the share of calls that it hits, from 0 to 1.
    """

    edge: Edge
    kind: str
    target: str | None = None
    seconds: float = 0.0
    status: int = 0
    retry_after: float | None = None
    phase: Phase = "connect"
    midway: bool = False
    calls: tuple[int, ...] = ()
    chance: float | None = None

    @property
    def id(self) -> str:
        """Readable, and the same in every run: `openai-status-429`, `redis-slow-0.5s-on-call-2`."""
        return "-".join(self._parts())

    @property
    def where(self) -> str:
        """What it says of itself before the kind: `openai`, or `http api.example.com`."""
        return f"{self.edge} {self.target}" if self.target else self.edge

    def on_call(self, *numbers: int) -> Self:
        """Only on these calls, counted from 1."""
        if not numbers or any(number < 1 for number in numbers):
            raise ValueError(f"on_call counts from 1; got {', '.join(map(str, numbers)) or 'no number'}")
        return replace(self, calls=numbers)

    def share(self, chance: float) -> Self:
        """On about this share of the calls, drawn from the seed of the session."""
        if not 0 < chance <= 1:
            raise ValueError(f"share takes a number above 0 and up to 1; got {chance:g}")
        return replace(self, chance=chance)

    def _parts(self) -> Iterator[str]:
        yield self.edge
        if self.target:
            yield self.target
        yield self.kind.replace("_", "-")
        if self.kind == "timeout" and self.phase != "connect":
            yield self.phase
        if self.midway:
            yield "midway"
        if self.status:
            yield str(self.status)
        if self.seconds:
            yield f"{self.seconds:g}s"
        if self.kind == "flaky":
            yield str(len(self.calls))
        elif self.calls and not (self.kind == "reconnect" and self.calls == (1,)):
            yield "on-call-" + "-".join(map(str, self.calls))
        if self.chance is not None:
            yield f"share-{self.chance:g}"

    def __str__(self) -> str:
        return self.id


class _Edge(Generic[Made]):
    def __init__(self, edge: Edge, make: Callable[[FaultSpec], Made], target: str | None = None) -> None:
        self._edge: Edge = edge
        self._make = make
        self._target = target

    def _of(self, kind: str, **parts: Any) -> Made:
        return self._make(FaultSpec(self._edge, kind, target=self._target, **parts))


class ProviderFaults(_Edge[Made]):
    """What a model provider, or any HTTP server, does to its callers."""

    def timeout(self, phase: Phase = "connect") -> Made:
        """The client's own error for that phase, at once; a controlled clock moves on by the client's limit."""
        if phase not in (phases := get_args(Phase)):
            raise ValueError(f"timeout takes a phase of a call, one of {', '.join(phases)}; got {phase!r}")
        return self._of("timeout", phase=phase)

    def refused(self) -> Made:
        """Nobody listens."""
        return self._of("refused")

    def reset(self, *, midway: bool = False) -> Made:
        """The connection breaks: before the answer, or `midway` through it."""
        return self._of("reset", midway=midway)

    def slow(self, seconds: float) -> Made:
        """The answer takes that long: it comes, or the client's read timeout does where that is shorter."""
        return self._of("slow", seconds=_positive(seconds))

    def status(self, code: int, *, retry_after: float | None = None) -> Made:
        """An error status with the body that this provider sends with it."""
        return self._of("status", status=_error_status(code), retry_after=retry_after)

    def malformed(self) -> Made:
        """Status 200 with what is no JSON; in a stream, an event that is none."""
        return self._of("malformed")

    def truncated(self) -> Made:
        """The answer ends halfway, in good order as far as TCP knows."""
        return self._of("truncated")

    def bad_key(self) -> Made:
        """Status 401, as the provider says it of a key that it does not know."""
        return self._of("bad_key")


class RedisFaults(_Edge[Made]):
    """What a Redis server does to its clients."""

    def down(self) -> Made:
        """Open connections are closed, new ones refused."""
        return self._of("down")

    def slow(self, seconds: float) -> Made:
        """Every reply takes that long."""
        return self._of("slow", seconds=_positive(seconds))

    def flaky(self, failures: int) -> Made:
        """The first `failures` commands lose their connection; they are not run."""
        if failures < 1:
            raise ValueError(f"flaky takes a number of failures from 1; got {failures}")
        return self._of("flaky", calls=tuple(range(1, failures + 1)))

    def readonly(self) -> Made:
        """A replica: commands that write, and what scripts write, are answered with READONLY."""
        return self._of("readonly")

    def oom(self) -> Made:
        """Memory is used up: commands that may take more, and what scripts write, are answered with OOM."""
        return self._of("oom")

    def reconnect(self) -> Made:
        """The server restarts under the next command, which is not run: all connections are closed, new ones work."""
        return self._of("reconnect", calls=(1,))


class ExporterFaults(_Edge[Made]):
    """What the telemetry backend does to the exporters that send to it over HTTP."""

    def down(self) -> Made:
        """Nobody listens."""
        return self._of("down")

    def hangs(self) -> Made:
        """No answer until the exporter's own timeout; once the fault is lifted, the backend's."""
        return self._of("hangs")

    def rejects(self, status: int = 403) -> Made:
        """It answers with an error status."""
        return self._of("rejects", status=_error_status(status))

    def full(self) -> Made:
        """The queue before the exporter takes no more: what is emitted is dropped, and counted as dropped."""
        return self._of("full")


class Vocabulary(Generic[Made]):
    """Every edge, with what can go wrong at it."""

    def __init__(self, make: Callable[[FaultSpec], Made]) -> None:
        self._make = make
        self.openai: ProviderFaults[Made] = ProviderFaults("openai", make)
        self.anthropic: ProviderFaults[Made] = ProviderFaults("anthropic", make)
        self.redis: RedisFaults[Made] = RedisFaults("redis", make)
        self.exporter: ExporterFaults[Made] = ExporterFaults("exporter", make)

    def http(self, target: str) -> ProviderFaults[Made]:
        """Any other HTTP server: `host`, `host:port`, or a URL that the request's begins with."""
        return ProviderFaults("http", self._make, target)

    if not TYPE_CHECKING:  # a type checker knows the edges, and is to tell a wrong one

        def __getattr__(self, name: str) -> NoReturn:
            edges = ", ".join(edge for edge in get_args(Edge) if edge != "http")
            said = f"there is no edge {name!r}: there are {edges}, and http('host') for any other server"
            raise AttributeError(said, name=name, obj=self)


fault: Final[Vocabulary[FaultSpec]] = Vocabulary(lambda spec: spec)
"""Names faults without arming them, for `@pytest.mark.faults(...)` and for parameters."""


def every(
    edge: ProviderFaults[FaultSpec] | RedisFaults[FaultSpec] | ExporterFaults[FaultSpec],
) -> tuple[FaultSpec, ...]:
    """Everything that can go wrong at one edge of `fault`: a row of the matrix for each."""
    if isinstance(edge, RedisFaults):
        return (edge.down(), edge.slow(0.2), edge.flaky(1), edge.readonly(), edge.oom(), edge.reconnect())
    if isinstance(edge, ExporterFaults):
        return (edge.down(), edge.hangs(), edge.rejects(), edge.full())
    return (
        edge.timeout(),
        edge.timeout("read"),
        edge.refused(),
        edge.reset(),
        edge.reset(midway=True),
        edge.slow(0.2),
        edge.status(429, retry_after=1),
        edge.status(500),
        edge.status(529),
        edge.malformed(),
        edge.truncated(),
        edge.bad_key(),
    )


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise ValueError(f"slow takes a number of seconds above 0; got {seconds:g}")
    return seconds


def _error_status(code: int) -> int:
    if code not in _CLIENT_ERRORS:
        raise ValueError(f"a fault's status lies from 400 to 599; got {code!r}")
    return code
