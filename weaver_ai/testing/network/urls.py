"""URLs as messages show them: without what could be a secret."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from weaver_ai.testing.secrets import secret_keys

__all__ = ["shown_url"]

_MASK = "***"


def shown_url(url: str) -> str:
    """The URL without user, password and fragment; of its query only the names, of its path what looks like no secret.

    >>> shown_url("https://me:hunter2@api.example.com/v1/models?api_key=hunter2&limit=3")
    'https://api.example.com/v1/models?api_key=***&limit=***'
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    path = "/".join(_MASK if _secret(segment) else segment for segment in parts.path.split("/"))
    query = "&".join(f"{pair.partition('=')[0]}={_MASK}" if "=" in pair else _MASK for pair in parts.query.split("&"))
    return urlunsplit((parts.scheme, host, path, query if parts.query else "", ""))


def _secret(segment: str) -> bool:
    """By its shape, or as Telegram has it: `bot<number>:<token>`."""
    return (":" in segment[3:] and segment.startswith("bot")) or any(secret_keys({"segment": segment}))
