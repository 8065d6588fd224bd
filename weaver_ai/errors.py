"""Every error that Weaver raises on purpose, each with a stable code.

The code is the last segment of the problem `type` that the gateway answers with, the value of
`error.type` on spans, and the key of the documentation. A message says what was wrong; a hint says
what to do. Neither ever holds a provider's body or a secret.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AgentNotFound",
    "CapabilityNotFound",
    "ContextWindowExceeded",
    "DeadlineExceeded",
    "Draining",
    "EngineUnavailable",
    "IdempotencyConflict",
    "InvalidInput",
    "MissingExtra",
    "ProviderError",
    "ProviderInvalidResponse",
    "ProviderRateLimited",
    "ProviderRejected",
    "ProviderTimeout",
    "ProviderUnavailable",
    "ProviderUnreachable",
    "QueueFull",
    "RegistrationError",
    "RunCancelled",
    "RunFailed",
    "RunTimeout",
    "SettingsError",
    "StepChanged",
    "TargetError",
    "TaskNotFound",
    "UsageLimitReached",
    "WeaverError",
    "WorkerLost",
    "WorkflowNotFound",
]


class WeaverError(Exception):
    """The base of Weaver's errors.

    Attributes:
        code: stable, kebab-case; part of the public API.
        title: the same for every occurrence of the code (RFC 9457, section 3.1.4).
        hint: what the caller can do, or None.
        retry_after: seconds after which a retry is worth it, or None when that isn't known.
    """

    code: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"

    def __init__(self, message: str, *, hint: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.retry_after = retry_after


class SettingsError(WeaverError):
    """A setting has a value that can't be used; the message names its variable."""

    code = "invalid-settings"
    title = "Invalid settings"


class MissingExtra(WeaverError):
    """A feature was asked for whose optional dependencies aren't installed; `beside`: an extra to install with it."""

    code = "missing-extra"
    title = "Optional dependency missing"

    def __init__(self, feature: str, extra: str, *, beside: str | None = None) -> None:
        extras = extra if beside is None else f"{beside},{extra}"
        super().__init__(f"{feature} needs the extra {extra!r}: pip install 'weaver-ai[{extras}]'")
        self.extra = extra


class TargetError(WeaverError):
    """`module:attribute` doesn't lead to a Weaver object."""

    code = "invalid-target"
    title = "Invalid target"


class RegistrationError(WeaverError):
    """An agent or a workflow can't be registered as asked: its name, its capability or its function doesn't fit."""

    code = "invalid-registration"
    title = "Invalid registration"


class InvalidInput(WeaverError):
    """The caller's input has the wrong type or shape."""

    code = "invalid-input"
    title = "Invalid input"


class CapabilityNotFound(WeaverError):
    """No agent and no workflow is registered under that capability."""

    code = "capability-not-found"
    title = "Capability not found"


class AgentNotFound(CapabilityNotFound):
    """No agent has that name."""

    code = "agent-not-found"
    title = "Agent not found"


class WorkflowNotFound(CapabilityNotFound):
    """No workflow has that name."""

    code = "workflow-not-found"
    title = "Workflow not found"


class TaskNotFound(WeaverError):
    """No task has that id, or its record has expired."""

    code = "task-not-found"
    title = "Task not found"


class IdempotencyConflict(WeaverError):
    """An idempotency key came again with another body."""

    code = "idempotency-conflict"
    title = "Idempotency key reused"


class QueueFull(WeaverError):
    """The bounded queue takes no more tasks now."""

    code = "queue-full"
    title = "Queue full"


class Draining(WeaverError):
    """The process is shutting down and takes no new work."""

    code = "draining"
    title = "Shutting down"


class EngineUnavailable(WeaverError):
    """The task engine's server can't be reached; nothing was accepted."""

    code = "engine-unavailable"
    title = "Task engine unavailable"


class RunFailed(WeaverError):
    """An agent or a workflow raised; the cause is on its span, never in the message."""

    code = "run-failed"
    title = "Run failed"


class RunTimeout(RunFailed):
    """A run took longer than it may."""

    code = "run-timeout"
    title = "Run timed out"


class UsageLimitReached(RunFailed):
    """A run needed more model requests, tool calls, tokens or money than its agent may use."""

    code = "usage-limit-reached"
    title = "Usage limit reached"


class RunCancelled(RunFailed):
    """A run was cancelled by its caller, by a disconnect or by a shutdown."""

    code = "run-cancelled"
    title = "Run cancelled"


class DeadlineExceeded(RunFailed):
    """A task's deadline was over before the task had ended."""

    code = "deadline-exceeded"
    title = "Deadline exceeded"


class StepChanged(RunFailed):
    """A workflow's later attempt didn't ask for a step that an earlier one had finished, or gave it another input."""

    code = "step-changed"
    title = "Step changed on replay"


class WorkerLost(RunFailed):
    """Several workers died or fell silent while they ran a task; it isn't given to another."""

    code = "worker-lost"
    title = "Workers lost"


class ProviderError(RunFailed):
    """A model provider failed. `provider` and `model` say which one."""

    code = "provider-error"
    title = "Model provider failed"

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        hint: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, retry_after=retry_after)
        self.provider = provider
        self.model = model


class ProviderTimeout(ProviderError):
    """The provider didn't answer in time."""

    code = "provider-timeout"
    title = "Model provider timed out"


class ProviderRateLimited(ProviderError):
    """The provider answered 429."""

    code = "provider-rate-limited"
    title = "Model provider rate limit"


class ProviderUnavailable(ProviderError):
    """The provider answered with a 5xx status."""

    code = "provider-unavailable"
    title = "Model provider unavailable"


class ProviderUnreachable(ProviderError):
    """No connection to the provider, or it broke."""

    code = "provider-unreachable"
    title = "Model provider unreachable"


class ProviderRejected(ProviderError):
    """The provider refused the request (a 4xx status other than 429): a key or a model name that it doesn't take."""

    code = "provider-rejected"
    title = "Model provider rejected the request"


class ContextWindowExceeded(ProviderRejected):
    """The input, with the conversation before it, is longer than the model's context window."""

    code = "context-window-exceeded"
    title = "Context window exceeded"


class ProviderInvalidResponse(ProviderError):
    """The provider's answer couldn't be read, or the model's output never passed validation."""

    code = "provider-invalid-response"
    title = "Model provider answered with something unusable"
