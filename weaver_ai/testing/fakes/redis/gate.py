"""What faults do to Redis commands, whichever server stands behind.

Only commands count as calls; what a client says when it connects does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from weaver_ai.testing.faults.plan import current
from weaver_ai.testing.faults.spec import FaultSpec

__all__ = ["Gate", "Verdict", "is_down", "refused"]

Effect: TypeAlias = Literal["pass", "refuse", "abort", "drop", "restart"]

_GREETINGS: Final = frozenset({"hello", "auth", "client", "select", "quit", "reset", "readonly"})
_READONLY: Final = "READONLY You can't write against a read only replica."
_OOM: Final = "OOM command not allowed when used memory > 'maxmemory'."
_SCRIPTS: Final = frozenset({"eval", "evalsha", "fcall"})
_EXECABORT: Final = "EXECABORT Transaction discarded because of previous errors."


@dataclass(frozen=True)
class Verdict:
    """What happens to a command.

    Attributes:
        effect: it passes; it is refused with `reply`, and so may be its whole transaction (`abort`); its
            connection is dropped (`drop`), or every connection is (`restart`).
        script_reply: it is a script that runs, and a write of it is refused with this.
        delay: seconds before its reply.
    """

    effect: Effect = "pass"
    reply: str = ""
    script_reply: str | None = None
    delay: float = 0.0


_PASS: Final = Verdict()


def is_down() -> bool:
    """Whether nobody is to connect now."""
    plan = current()
    return plan is not None and any(_is_outage(fault.spec) for fault in plan.on("redis"))


def _is_outage(spec: FaultSpec) -> bool:
    return spec.kind == "down" and not spec.calls and spec.chance is None


def refused() -> None:
    """Count a connection that was refused."""
    plan = current()
    if plan is not None:
        plan.strike(lambda spec: spec.edge == "redis" and _is_outage(spec))


class Gate:
    """The faults as one connection meets them; it knows of the transaction that the connection is in."""

    def __init__(self) -> None:
        self._in_transaction = False
        self._spoilt = False

    def judge(self, command: list[bytes]) -> Verdict:
        """Count the command and say what happens to it."""
        name = command[0].decode("latin-1").lower()
        plan = current()
        verdict = _PASS
        if plan is not None and name not in _GREETINGS:
            struck = plan.strike(lambda spec: spec.edge == "redis" and _concerns(spec, name, command))
            if struck is not None:
                verdict = _verdict(struck.spec, name)
        return self._in_order(name, verdict)

    def _in_order(self, name: str, verdict: Verdict) -> Verdict:
        """A command that is refused inside MULTI spoils the EXEC, as on a real server."""
        if name == "multi" and verdict.effect == "pass":
            self._in_transaction, self._spoilt = True, False
        elif name in {"exec", "discard"}:
            spoilt = self._spoilt and name == "exec"
            self._in_transaction = self._spoilt = False
            if spoilt and verdict.effect == "pass":
                return Verdict("abort", _EXECABORT, delay=verdict.delay)
        elif self._in_transaction and verdict.effect == "refuse":
            self._spoilt = True
        return verdict


def _concerns(spec: FaultSpec, name: str, command: list[bytes]) -> bool:
    if _is_outage(spec):
        return False  # it meets connections, not commands
    if spec.kind == "readonly":
        return "write" in _flags(name, command)
    if spec.kind == "oom":
        return "denyoom" in _flags(name, command)
    return True


def _verdict(spec: FaultSpec, name: str) -> Verdict:
    match spec.kind:
        case "slow":
            return Verdict(delay=spec.seconds)
        case "readonly" | "oom":
            reply = _READONLY if spec.kind == "readonly" else _OOM
            return Verdict(script_reply=reply) if name in _SCRIPTS else Verdict("refuse", reply)
        case "reconnect":
            return Verdict("restart")
        case _:  # down on some calls, flaky
            return Verdict("drop")


def _flags(name: str, command: list[bytes]) -> frozenset[str]:
    """What Redis says of a command: whether it writes, whether it may take memory. A script may do both."""
    if name in _SCRIPTS:
        return frozenset({"write", "denyoom"})
    from fakeredis.model import get_command_info  # noqa: PLC0415 # its copy of Redis' command table

    both = b"%s %s" % (name.encode(), command[1].lower()) if len(command) > 1 else name.encode()
    info = get_command_info(both) or get_command_info(name.encode())
    return frozenset(flag.decode() for flag in info[2]) if info else frozenset()
