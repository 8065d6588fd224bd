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

__all__ = ["Embedding", "Says", "Structured", "ToolCall", "Usage", "embedding", "says", "structured", "tool_call"]
