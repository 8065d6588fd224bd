"""Every way in which a run can fail, as exactly one of `weaver_ai.errors`.

pydantic-ai has already sorted the providers' errors by what went wrong; here they get a class that is
stable for Weaver's users, and a message without the provider's words. The original stays the cause.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic_ai.exceptions import (
    ConcurrencyLimitExceeded,
    ContentFilterError,
    FallbackExceptionGroup,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    ModelRequestTimeout,
    ModelServerError,
    ModelTimeoutError,
    ModelUnavailableError,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
)
from pydantic_ai.exceptions import RunCancelled as AgentRunCancelled
from pydantic_ai.exceptions import RunTimedOut as AgentRunTimedOut
from pydantic_core import PydanticSerializationError

from weaver_ai.errors import (
    ContextWindowExceeded,
    ProviderError,
    ProviderInvalidResponse,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    ProviderUnreachable,
    QueueFull,
    RunCancelled,
    RunFailed,
    RunTimeout,
    UsageLimitReached,
    WeaverError,
)

__all__ = ["failure_of"]

_IN_LOG: Final = "the cause is in the log and on the trace, under this trace id"
_TOO_LONG: Final = "the input is longer than the model's context window: send less, or a shorter history"
_REQUEST_TIMEOUT: Final = 408
_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERRORS: Final = range(500, 600)
_CLIENT_ERRORS: Final = range(400, 500)

# When every model of a chain failed, the failure that is most likely to pass is the one that counts.
_HOPE: Final[tuple[type[ProviderError], ...]] = (
    ProviderRateLimited,
    ProviderUnavailable,
    ProviderTimeout,
    ProviderUnreachable,
    ProviderInvalidResponse,
    ContextWindowExceeded,
    ProviderRejected,
    ProviderError,
)


def failure_of(error: Exception, *, name: str, kind: str, providers: Mapping[str, str]) -> WeaverError:
    """What `error`, raised by the agent or workflow `name`, is for the caller.

    The result is to be raised `from error`. A WeaverError is returned as it is.

    Args:
        error: whatever left the run.
        name: of the agent or workflow.
        kind: "agent" or "workflow".
        providers: the provider of each model name that may have been used.
    """
    if isinstance(error, WeaverError):
        return error
    if isinstance(error, FallbackExceptionGroup):
        return _of_group(error, providers)
    if isinstance(error, ModelAPIError):
        return _of_model(error, providers)
    return _of_run(error, name, kind, providers)


def _of_run(error: Exception, name: str, kind: str, providers: Mapping[str, str]) -> WeaverError:  # noqa: PLR0911 - a table
    subject = f"the {kind} {name!r}"
    match error:
        case AgentRunTimedOut():
            return RunTimeout(f"{subject} took longer than it may")
        case AgentRunCancelled():
            return RunCancelled(f"{subject} was cancelled")
        case UsageLimitExceeded():
            return UsageLimitReached(
                f"{subject} went over its usage limit", hint="ask for less in one run, or raise its UsageLimits"
            )
        case ConcurrencyLimitExceeded():
            return QueueFull(f"{subject} has too many runs waiting", retry_after=1.0)
        case UnexpectedModelBehavior():
            # The error doesn't name the model; with only one to choose from it is that one.
            ((model, provider),) = providers.items() if len(providers) == 1 else ((None, None),)
            message = f"the model of {subject} {_misbehaviour(error)}"
            return ProviderInvalidResponse(message, provider=provider, model=model)
        case PydanticSerializationError() | UnicodeEncodeError():
            return RunFailed(f"{subject} failed: something in it can't be written as JSON", hint=_IN_LOG)
        case _:
            return RunFailed(f"{subject} failed", hint=_IN_LOG)


def _misbehaviour(error: UnexpectedModelBehavior) -> str:
    if isinstance(error, ContentFilterError):
        return "refused to answer: content filter"
    return "never gave a usable answer"


@dataclass(frozen=True, slots=True)
class _Blame:
    """Who failed, in words and as fields."""

    model: str | None
    provider: str | None

    @property
    def words(self) -> str:
        return f"{self.provider or 'the provider'}{f' ({self.model})' if self.model else ''}"


def _blame(named: str, providers: Mapping[str, str]) -> _Blame:
    """A name that nobody asked for comes from the provider's answer, which is not to be repeated."""
    if named in providers:
        return _Blame(named, providers[named])
    if len(providers) == 1:
        return _Blame(*next(iter(providers.items())))
    return _Blame(None, None)


def _of_model(error: ModelAPIError, providers: Mapping[str, str]) -> ProviderError:
    blame = _blame(error.model_name, providers)
    status = error.status_code if isinstance(error, ModelHTTPError) else None
    kind, what, hint = _sorted(error, status)
    return kind(
        f"{blame.words} {what}",
        provider=blame.provider,
        model=blame.model,
        hint=hint,
        retry_after=error.retry_after if kind in {ProviderRateLimited, ProviderUnavailable} else None,
    )


_Sorted = tuple[type[ProviderError], str, str | None]


def _sorted(error: ModelAPIError, status: int | None) -> _Sorted:  # noqa: PLR0911 - a table
    if isinstance(error, ModelTimeoutError | ModelRequestTimeout) or status == _REQUEST_TIMEOUT:
        return ProviderTimeout, "didn't answer in time", None
    if isinstance(error, ModelConnectionError):
        return ProviderUnreachable, "couldn't be reached, or the connection broke", None
    if isinstance(error, ModelQuotaExceededError):
        kind = ProviderRateLimited if status == _TOO_MANY_REQUESTS else ProviderRejected
        return kind, f"says that the quota is exhausted{_answered(status)}", "top up the account or raise its limit"
    if isinstance(error, ModelRateLimitError) or status == _TOO_MANY_REQUESTS:
        return ProviderRateLimited, f"is rate limiting{_answered(status)}", None
    if isinstance(error, ModelUnavailableError | ModelServerError) or (status is not None and status in _SERVER_ERRORS):
        return ProviderUnavailable, f"is unavailable{_answered(status)}", None
    if isinstance(error, ModelContextWindowExceededError):
        return ContextWindowExceeded, f"takes no input of that length{_answered(status)}", _TOO_LONG
    if isinstance(error, ModelRequestRejectedError) or (status is not None and status in _CLIENT_ERRORS):
        return ProviderRejected, f"rejected the request{_answered(status)}", _rejection_hint(error)
    if error.provider_error_code is not None or error.provider_error_type is not None:
        return ProviderError, "reported an error in its answer", None
    return ProviderInvalidResponse, "answered with something that can't be read", None


def _rejection_hint(error: ModelAPIError) -> str | None:
    if isinstance(error, ModelAuthenticationError):
        return "check the provider's key"
    if isinstance(error, ModelNotFoundError):
        return "check the model's name and the provider's base URL"
    return None


def _answered(status: int | None) -> str:
    return "" if status is None else f": status {status}"


def _of_group(group: FallbackExceptionGroup, providers: Mapping[str, str]) -> ProviderError:
    failures = [_of_model(error, providers) for error in _leaves(group) if isinstance(error, ModelAPIError)]
    if not failures:
        return ProviderError("every model of the fallback chain was rejected")
    chosen = min(failures, key=lambda failure: _HOPE.index(type(failure)))
    known = [failure.retry_after for failure in failures if failure.retry_after is not None]
    return type(chosen)(
        f"all {len(failures)} models failed: {'; '.join(failure.message for failure in failures)}",
        provider=chosen.provider,
        model=chosen.model,
        hint=chosen.hint,
        retry_after=None if math.isinf(soonest := min(known, default=math.inf)) else soonest,
    )


def _leaves(group: BaseExceptionGroup[Exception]) -> Sequence[Exception]:
    leaves: list[Exception] = []
    for error in group.exceptions:
        leaves.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return leaves
