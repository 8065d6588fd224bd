"""Agents and workflows on pydantic-ai."""

from weaver_ai.agents.events import (
    RunEvent,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCalled,
    ToolReturned,
)
from weaver_ai.agents.models import Models, ProviderStatus
from weaver_ai.agents.offline import OfflineModel, OfflineRule, OfflineRules
from weaver_ai.agents.options import RunOptions
from weaver_ai.agents.registry import Entry, RegisteredAgent, RegisteredWorkflow, Weaver
from weaver_ai.agents.result import Ledger, PendingCall, RunResult, Step, ToolCall, Usage
from weaver_ai.agents.run import Runner
from weaver_ai.agents.target import load_target
from weaver_ai.agents.work import task_handler, task_policies
from weaver_ai.agents.workflows import Run
from weaver_ai.tasks import TRANSIENT, Retry

__all__ = [
    "TRANSIENT",
    "Entry",
    "Ledger",
    "Models",
    "OfflineModel",
    "OfflineRule",
    "OfflineRules",
    "PendingCall",
    "ProviderStatus",
    "RegisteredAgent",
    "RegisteredWorkflow",
    "Retry",
    "Run",
    "RunEvent",
    "RunFinished",
    "RunOptions",
    "RunResult",
    "RunStarted",
    "Runner",
    "Step",
    "StepFinished",
    "StepStarted",
    "TextDelta",
    "ToolCall",
    "ToolCalled",
    "ToolReturned",
    "Usage",
    "Weaver",
    "load_target",
    "task_handler",
    "task_policies",
]
