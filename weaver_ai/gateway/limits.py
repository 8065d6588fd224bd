"""What a request may look like: its size, its media type, and the media types it may ask for."""

from __future__ import annotations

from collections.abc import Sequence
from email.message import Message as MimeMessage

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from weaver_ai.gateway.problems import ProblemResponse, problem_of

__all__ = ["BodyLimit", "negotiate", "require_json"]

EVENT_STREAM = "text/event-stream"
JSON = "application/json"


class BodyLimit:
    """ASGI middleware: 413 for a body over `limit` bytes, whether its length was declared or it came in chunks."""

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limit:
            await ProblemResponse(problem_of(self._too_large(), scope))(scope, receive, send)
            return
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise self._too_large()
            return message

        await self._app(scope, receive_within_limit, send)

    def _too_large(self) -> HTTPException:
        # An HTTPException, for FastAPI lets no other error through while it reads a body.
        return HTTPException(413, f"the body is larger than {self._limit} bytes", headers={"connection": "close"})


def require_json(request: Request) -> None:
    """A dependency: 415 when there is a body that isn't declared to be JSON in UTF-8."""
    if not _has_body(request.headers):
        return
    declared = MimeMessage()
    declared["content-type"] = request.headers.get("content-type", "")
    kind, charset = declared.get_content_type(), declared.get_content_charset("utf-8")
    is_json = kind == JSON or (kind.startswith("application/") and kind.endswith("+json"))
    if not request.headers.get("content-type") or not is_json or charset not in ("utf-8", "utf8", "us-ascii"):
        raise HTTPException(415, "the body must be JSON: send 'Content-Type: application/json'", {"accept": JSON})


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def negotiate(accept: Sequence[str], offers: Sequence[str]) -> str:
    """The offer that the `Accept` headers prefer; the first one when it doesn't say (RFC 9110, section 12.5.1).

    Raises:
        HTTPException: 406, when it takes none of them.
    """
    ranges = [_media_range(part) for line in accept for part in line.split(",") if part.strip()]
    best = max(offers, key=lambda offer: _quality(offer, ranges)) if ranges else offers[0]
    if ranges and _quality(best, ranges) <= 0:
        raise HTTPException(406, f"this is served as {' or '.join(offers)}")
    return best


def _media_range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip() for part in text.split(";"))
    quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return name.lower(), float(quality)
    except ValueError:
        return name.lower(), 1.0


def _quality(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality of the most specific range that matches; 0 when none does."""
    family = offer.partition("/")[0] + "/*"
    for pattern in (offer, family, "*/*"):
        matching = [quality for name, quality in ranges if name == pattern]
        if matching:
            return matching[0]
    return 0.0
