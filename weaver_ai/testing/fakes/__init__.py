"""Stand-ins for what a service talks to: model providers and Redis."""

from weaver_ai.testing.fakes.providers.answers import (
    Embedding,
    Says,
    Structured,
    ToolCall,
    Usage,
    embedding,
    says,
    structured,
    tool_call,
)
from weaver_ai.testing.fakes.providers.call import Call, Message, Tool
from weaver_ai.testing.fakes.providers.provider import Provider
from weaver_ai.testing.fakes.providers.providers import Providers
from weaver_ai.testing.fakes.providers.reply import Broken, Pause, Reply

__all__ = [
    "Broken",
    "Call",
    "Embedding",
    "Message",
    "Pause",
    "Provider",
    "Providers",
    "Reply",
    "Says",
    "Structured",
    "Tool",
    "ToolCall",
    "Usage",
    "embedding",
    "says",
    "structured",
    "tool_call",
]
