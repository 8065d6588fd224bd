"""Faults in front of a provider's answers: the call is recorded, then it fares as the fault says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from weaver_ai.testing.fakes.providers.call import Call
from weaver_ai.testing.fakes.providers.dialects import Dialect
from weaver_ai.testing.fakes.providers.reply import Broken, Piece, Reply
from weaver_ai.testing.faults import wire
from weaver_ai.testing.faults.outcome import Call as Asked
from weaver_ai.testing.faults.outcome import Error, Outcome, consult

__all__ = ["faulted"]


def faulted(call: Call, dialect: Dialect, go: Callable[[], Reply]) -> Reply:
    """What `go` answers, unless a fault of this provider, or of its URL, strikes."""
    outcome = consult(_asked(call, dialect))
    if outcome is None:
        return go()
    if outcome.error is not None:
        return Reply(0, {}, [], outcome.waits, Broken(outcome.error.name, outcome.error.message))
    if outcome.onward:
        reply = go()
        reply.delay += outcome.waits
        return reply
    if outcome.cut:
        reply = go()
        reply.pieces = _then(_half(reply, outcome), outcome.breaks)
        return reply
    return Reply(outcome.status, dict(outcome.headers), _then(outcome.pieces, outcome.breaks), outcome.waits)


def _asked(call: Call, dialect: Dialect) -> Asked:
    body = json.dumps(call.body).encode()
    return Asked(call.url, body, call.headers.get("accept", ""), call.timeouts, dialect.name)


def _half(reply: Reply, outcome: Outcome) -> tuple[bytes, ...]:
    body = b"".join(piece for piece in reply.pieces if isinstance(piece, bytes))
    return wire.cut(body, stream=outcome.stream)


def _then(pieces: tuple[bytes, ...], breaks: Error | None) -> Iterator[Piece]:
    yield from pieces
    if breaks is not None:
        raise Broken(breaks.name, breaks.message)
