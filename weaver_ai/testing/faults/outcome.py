"""What a fault does to one HTTP call, in words that every client library shares.

This is the seam for whatever answers HTTP calls in a test: a transport asks `consult` before it
answers, and does what the outcome says. httpcore and httpcore2 are served by `pools`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from weaver_ai.testing.faults import wire
from weaver_ai.testing.faults.plan import current
from weaver_ai.testing.faults.spec import Edge, FaultSpec

__all__ = ["Call", "Error", "Outcome", "answered_elsewhere", "consult", "is_answered_elsewhere"]

ErrorName: TypeAlias = Literal[
    "ConnectTimeout", "ReadTimeout", "WriteTimeout", "PoolTimeout", "ConnectError", "ReadError", "RemoteProtocolError"
]

_CUT_SHORT: Final = "peer closed connection without sending complete message body (incomplete chunked read)"
_RESET: Final = "[Errno 104] Connection reset by peer"


@dataclass(frozen=True)
class Error:
    """An exception, by the name of its class: the same in httpx, httpx2, httpcore and httpcore2."""

    name: ErrorName
    message: str


@dataclass(frozen=True)
class Call:
    """One request, as far as faults look at it.

    Attributes:
        edge: the provider that it goes to, where the caller knows better than the host does.
        timeouts: seconds by phase, httpx's `extensions["timeout"]`; a phase without one never times out.
    """

    url: str
    body: bytes = b""
    accept: str = ""
    timeouts: Mapping[str, float | None] | None = None
    edge: Edge | None = None

    def limit(self, phase: str) -> float | None:
        return self.timeouts.get(phase) if self.timeouts else None


@dataclass(frozen=True)
class Outcome:
    """What happens to the call, in this order.

    Attributes:
        waits: seconds that pass first.
        error: raise this; nothing else happens.
        onward: let the call go where it would have gone, and give that answer.
        cut: with an answer at hand, send the first half of it (`wire.cut`) instead of `pieces`.
        status: of the answer.
        headers: of the answer.
        pieces: the answer's body, piece by piece.
        breaks: raise this after the last piece.
    """

    waits: float = 0.0
    error: Error | None = None
    onward: bool = False
    cut: bool = False
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    pieces: tuple[bytes, ...] = ()
    breaks: Error | None = None
    stream: bool = False


_elsewhere: list[Callable[[str, str], bool]] = []


@contextmanager
def answered_elsewhere(knows: Callable[[str, str], bool]) -> Iterator[None]:
    """Leave requests, by method and URL, to a fake that consults by itself where it answers them."""
    _elsewhere.append(knows)
    try:
        yield
    finally:
        _elsewhere.remove(knows)


def is_answered_elsewhere(method: str, url: str) -> bool:
    return any(knows(method, url) for knows in _elsewhere)


def consult(call: Call) -> Outcome | None:
    """Count the call with the faults armed now; what happens to it, or None where nothing does."""
    plan = current()
    if plan is None:
        return None
    struck = plan.strike(lambda spec: _fits(spec, call, plan.hosts))
    return None if struck is None else _outcome(struck.spec, call)


def _fits(spec: FaultSpec, call: Call, hosts: Mapping[Edge, tuple[str, ...]]) -> bool:
    if spec.edge == "http":
        return spec.target is not None and _at(spec.target, call.url)
    if spec.edge not in {"openai", "anthropic"}:
        return False
    if call.edge is not None:
        return spec.edge == call.edge
    return any(_at(host, call.url) for host in hosts[spec.edge])


def _at(target: str, url: str) -> bool:
    """Whether a URL lies at `host`, `host:port` or under a base URL."""
    if "://" in target:
        base = target.rstrip("/")
        return url == base or url.startswith((f"{base}/", f"{base}?"))
    parts = urlsplit(url)
    return target in {parts.hostname, parts.netloc}


def _outcome(spec: FaultSpec, call: Call) -> Outcome:
    match spec.kind:
        case "timeout":
            return _timeout(spec, call)
        case "slow":
            return _slow(spec, call)
        case "refused":
            return Outcome(error=Error("ConnectError", "[Errno 111] Connection refused"))
        case "reset" if not spec.midway:
            return Outcome(error=Error("ReadError", _RESET))
        case _:
            return _answered(spec, call)


def _answered(spec: FaultSpec, call: Call) -> Outcome:
    dialect = wire.dialect_of(call.edge or spec.edge, urlsplit(call.url).path)
    if spec.kind in {"status", "bad_key"}:
        return _refusal(dialect, spec.status or 401, spec.retry_after)
    stream = wire.wants_stream(call.body, call.accept)
    broken = spec.kind == "malformed"
    sent = wire.garbage(dialect, stream=stream) if broken else wire.beginning(dialect, stream=stream)
    headers = (("content-type", sent.content_type),)
    if broken:
        return Outcome(headers=headers, pieces=sent.pieces, stream=stream)
    breaks = Error("ReadError", _RESET) if spec.kind == "reset" else Error("RemoteProtocolError", _CUT_SHORT)
    return Outcome(cut=True, headers=headers, pieces=sent.pieces, breaks=breaks, stream=stream)


def _timeout(spec: FaultSpec, call: Call) -> Outcome:
    names: Mapping[str, ErrorName] = {
        "connect": "ConnectTimeout",
        "read": "ReadTimeout",
        "write": "WriteTimeout",
        "pool": "PoolTimeout",
    }
    return Outcome(waits=_only_controlled(call.limit(spec.phase)), error=Error(names[spec.phase], "timed out"))


def _only_controlled(seconds: float | None) -> float:
    """A time-out costs no real time, but a controlled clock shows it."""
    from weaver_ai.testing.faults.clock import controlled  # noqa: PLC0415 # only where a fault struck

    return seconds or 0.0 if controlled() else 0.0


def _slow(spec: FaultSpec, call: Call) -> Outcome:
    limit = call.limit("read")
    if limit is not None and limit < spec.seconds:
        return Outcome(waits=limit, error=Error("ReadTimeout", "timed out"))
    return Outcome(waits=spec.seconds, onward=True)


def _refusal(dialect: wire.Dialect, status: int, retry_after: float | None) -> Outcome:
    body = wire.error_body(dialect, status)
    headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
    headers.append(("request-id" if dialect == "anthropic" else "x-request-id", "req_fault"))
    if retry_after is not None:
        headers.append(("retry-after", f"{retry_after:g}"))
    return Outcome(status=status, headers=tuple(headers), pieces=(body,))
