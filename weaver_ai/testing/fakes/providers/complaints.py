"""What the providers tell a test that they could not answer, in lines."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from weaver_ai.testing.fakes.providers.call import Call
from weaver_ai.testing.fakes.providers.dialects import Dialect
from weaver_ai.testing.network.urls import shown_url

__all__ = ["Complain", "broken_replier", "no_answer", "nothing_queued", "unknown_path"]

Complain = Callable[[list[str]], None]

_SHOWN = 100


def no_answer(name: str, verb: str, given: object) -> str:
    """What was queued can't be said by a model."""
    said = repr(given) if len(repr(given)) <= _SHOWN else f"{repr(given)[:_SHOWN]}..."
    takes = "text, says(...), tool_call(...), structured(...), embedding(...), an error(...) or a function of the call"
    hint = f": structured({said})" if isinstance(given, dict | list) or hasattr(given, "model_dump") else ""
    return f"{name}.{verb} takes {takes}; got {said}{hint and '; as a value that the request asks for'}{hint}"


def nothing_queued(name: str, call: Call, *, number: int, given: int, errors: int = 0) -> list[str]:
    """A call came after the last answer; the test made as many errors that it gave to nobody."""
    queued = {0: "no answer was queued", 1: "1 answer was queued"}.get(given, f"{given} answers were queued")
    return [
        f"{name} got a request that no answer is queued for",
        *_asked(call),
        f"  it is call {number}; {queued}",
        f"  queue one more: {name}.replies('...')",
        *([f"  error(...) makes an answer and queues none: {name}.replies({name}.error(...))"] if errors else []),
    ]


def unknown_path(name: str, dialect: Dialect, base_url: str, method: str, url: str) -> list[str]:
    """A request came to the provider's host that isn't one of its operations."""
    known = ", ".join(endpoint.path for endpoint in dialect.endpoints)
    path = urlsplit(url).path
    near = [endpoint.path for endpoint in dialect.endpoints if path.endswith(endpoint.path.removeprefix("/v1"))]
    lines = [
        f"{name} has no answer to this request",
        f"  {method} {shown_url(url)}",
        f"  it answers POST {base_url} with {known}",
    ]
    if near and method == "POST":
        return [*lines, f"  did you mean {base_url}{near[0]}? The client's base URL seems to be wrong"]
    return [*lines, "  mock anything else with respx"]


def broken_replier(name: str, call: Call, error: Exception) -> list[str]:
    """The function that should make the answer raised, or the answer does not fit the call."""
    said = "".join(traceback.format_exception_only(error)).strip().splitlines()
    return [
        f"{name} could not make an answer: {said[0]}",
        *(f"    {line}" for line in said[1:]),
        *_asked(call),
        *_raised_at(error),
    ]


def _asked(call: Call) -> Iterator[str]:
    yield f"  {call.method} {shown_url(call.url)}"
    yield f"  {', '.join(call.described())}"
    if call.messages:
        last = call.messages[-1]
        text = last.text if len(last.text) <= _SHOWN else f"{last.text[:_SHOWN]}..."
        yield f"  the last message ({last.role}): {text!r}"


def _raised_at(error: Exception) -> Iterator[str]:
    """Where in the test's own function it was."""
    frames = traceback.extract_tb(error.__traceback__)
    here = str(Path(__file__).parent)
    own = [frame for frame in frames if not frame.filename.startswith(here)]
    if own:
        yield f"  raised at {Path(own[-1].filename).name}:{own[-1].lineno}: {own[-1].line}"
