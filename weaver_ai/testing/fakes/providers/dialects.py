"""The dialects: which endpoints a provider has, and how it answers each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from weaver_ai.testing.fakes.providers import anthropic, openai_http
from weaver_ai.testing.fakes.providers.answers import Asked, Says, Usage
from weaver_ai.testing.fakes.providers.ids import Ids
from weaver_ai.testing.fakes.providers.openai_chat import chat, chat_events
from weaver_ai.testing.fakes.providers.openai_responses import response, response_events
from weaver_ai.testing.fakes.providers.reply import EVENT_STREAM, Reply, json_reply, sse, torn

__all__ = ["ANTHROPIC", "DIALECTS", "OPENAI", "Dialect", "DialectName", "Endpoint", "answer", "error", "raw_events"]

DialectName = Literal["openai", "anthropic"]
Body = Callable[[Says, Usage, Asked, Ids], dict[str, Any]]
Events = Callable[[Says, Usage, Asked, Ids], Iterator[tuple[str | None, Any]]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation; without a body function it is embeddings, which no model says."""

    name: str
    path: str
    body: Body | None = None
    events: Events | None = None


@dataclass(frozen=True, slots=True)
class Dialect:
    """A provider's API: its own base URL, which the endpoints' paths follow."""

    name: DialectName
    base_url: str
    endpoints: tuple[Endpoint, ...]
    headers: Callable[[Ids], dict[str, str]]


OPENAI = Dialect(
    "openai",
    "https://api.openai.com/v1",
    (
        Endpoint("chat completions", "/chat/completions", chat, chat_events),
        Endpoint("responses", "/responses", response, response_events),
        Endpoint("embeddings", "/embeddings"),
    ),
    openai_http.headers,
)
ANTHROPIC = Dialect(
    "anthropic",
    "https://api.anthropic.com",
    (Endpoint("messages", "/v1/messages", anthropic.message, anthropic.message_events),),
    anthropic.headers,
)
DIALECTS: dict[DialectName, Dialect] = {"openai": OPENAI, "anthropic": ANTHROPIC}


def raw_events(endpoint: Endpoint, turn: Says, usage: Usage, asked: Asked, ids: Ids) -> Iterator[bytes]:
    """The server-sent events of a turn, one by one."""
    if endpoint.events is None:
        raise ValueError(f"{endpoint.name} are not streamed")
    for name, data in endpoint.events(turn, usage, asked, ids):
        yield sse(name, data)


def answer(dialect: Dialect, endpoint: Endpoint, turn: Says, usage: Usage, *, asked: Asked, ids: Ids) -> Reply:
    """A turn as the request wants it: streamed or whole."""
    if endpoint.body is None:
        raise ValueError(f"{endpoint.name} are not said by a model")
    if isinstance(asked.body, dict) and asked.body.get("stream"):
        headers = {
            **dialect.headers(ids),
            "content-type": EVENT_STREAM,
            "cache-control": "no-cache",
            "transfer-encoding": "chunked",
        }
        return Reply(200, headers, torn(raw_events(endpoint, turn, usage, asked, ids)))
    return json_reply(200, dialect.headers(ids), endpoint.body(turn, usage, asked, ids))


def error(
    dialect: Dialect,
    status: int,
    message: str,
    ids: Ids,
    *,
    kind: str | None = None,
    retry_after: float | None = None,
    retry: bool | None = None,
) -> Reply:
    """An error with the provider's own body; `retry` tells the official clients whether to (`x-should-retry`)."""
    headers = dialect.headers(ids)
    if retry_after is not None:
        headers["retry-after"] = f"{retry_after:g}"
    if retry is not None:
        headers["x-should-retry"] = "true" if retry else "false"
    if dialect.name == "anthropic":
        body = anthropic.error(status, message, headers["request-id"], kind)
    else:
        body = openai_http.error(status, message, kind)
    return json_reply(status, headers, body)
