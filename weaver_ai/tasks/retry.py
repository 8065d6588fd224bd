"""When a failed attempt is followed by another, and after how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from weaver_ai.errors import (
    ProviderRateLimited,
    ProviderTimeout,
    ProviderUnavailable,
    ProviderUnreachable,
    RegistrationError,
    RunFailed,
    WeaverError,
)

__all__ = ["MAX_RETRIES", "NO_RETRY", "TRANSIENT", "Retry", "TaskPolicy"]

MAX_RETRIES: Final = 20
_LONGEST_WAIT: Final = 3600.0

TRANSIENT: Final = (
    ProviderRateLimited.code,
    ProviderTimeout.code,
    ProviderUnavailable.code,
    ProviderUnreachable.code,
)
"""The codes of the failures that may pass by themselves: a provider's time-outs, 429, 5xx and broken connections."""

_FINAL: Final = frozenset({"run-cancelled", "step-changed", "worker-lost", "deadline-exceeded"})


def _is_whole(value: object, least: int, most: int | None) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value and (most is None or value <= most)


def _below(error: type[RunFailed]) -> list[type[RunFailed]]:
    direct = error.__subclasses__()
    return [*direct, *(each for kind in direct for each in _below(kind))]


def _retriable() -> set[str]:
    """Codes of what can become of an attempt, without those that another attempt couldn't change or mustn't."""
    return {WeaverError.code, RunFailed.code, *(error.code for error in _below(RunFailed))} - _FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How the failed attempts of a task are followed by others.

    The pause before the first retry is `pause_seconds`, doubled for each further one up to `longest_pause_seconds`, and
    drawn from the upper half of that, so that tasks that failed together don't come back together. A provider's
    `Retry-After` lengthens it.

    Attributes:
        retries: how many attempts may follow the first, 20 at most.
        pause_seconds: before the first retry.
        longest_pause_seconds: what the pauses grow to, an hour at most.
        on: the codes of `weaver_ai.errors` that are retried.

    Raises:
        RegistrationError: a value that can't be used.

    Example:
        >>> Retry(retries=5, on=(*TRANSIENT, "run-timeout")).pause_seconds
        1.0
    """

    retries: int = 3
    pause_seconds: float = 1.0
    longest_pause_seconds: float = 60.0
    on: tuple[str, ...] = TRANSIENT

    def __post_init__(self) -> None:
        if not _is_whole(self.retries, 0, MAX_RETRIES):
            raise RegistrationError(
                f"retries can't be {self.retries!r}", hint=f"a whole number from 0 to {MAX_RETRIES}"
            )
        if not 0 < self.pause_seconds <= self.longest_pause_seconds <= _LONGEST_WAIT:
            raise RegistrationError(
                f"pauses can't go from {self.pause_seconds!r} to {self.longest_pause_seconds!r} seconds",
                hint=f"0 < pause_seconds <= longest_pause_seconds <= {_LONGEST_WAIT:g}",
            )
        known = _retriable()
        if wrong := [code for code in self.on if code not in known]:
            raise RegistrationError(
                f"a retry can't be on {', '.join(map(repr, wrong))}",
                hint=f"give a tuple of these codes: {', '.join(sorted(known))}",
            )

    def pause(self, retried: int, retry_after: float | None, chance: float) -> float | None:
        """Seconds until the next attempt, None when the provider asks for more than an hour.

        Args:
            retried: how many retries there were already.
            retry_after: seconds that the provider asked for.
            chance: from 0 to 1, drawn anew for each pause.
        """
        longest = min(self.longest_pause_seconds, self.pause_seconds * 2.0**retried)
        pause = longest * (0.5 + 0.5 * chance)
        if retry_after is None:
            return pause
        if retry_after > _LONGEST_WAIT:
            return None
        return max(pause, retry_after * (1.0 + 0.1 * chance))


NO_RETRY: Final = Retry(retries=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPolicy:
    """How the tasks of a capability are run.

    Attributes:
        retry: of tasks that don't say how often themselves.
        concurrency: how many may run at once, over all workers; None: as many as there are places.
    """

    retry: Retry = NO_RETRY
    concurrency: int | None = None

    def __post_init__(self) -> None:
        if self.concurrency is not None and not _is_whole(self.concurrency, 1, None):
            raise RegistrationError(
                f"a concurrency limit can't be {self.concurrency!r}", hint="a whole number from 1, or None"
            )
