"""All providers of a test: the two by their own addresses, and those that were registered at others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import final
from urllib.parse import SplitResult, urlsplit

from weaver_ai.testing.fakes.providers.call import Call, Library
from weaver_ai.testing.fakes.providers.complaints import unknown_path
from weaver_ai.testing.fakes.providers.dialects import ANTHROPIC, OPENAI, Dialect, Endpoint, error
from weaver_ai.testing.fakes.providers.ids import Ids
from weaver_ai.testing.fakes.providers.provider import Provider
from weaver_ai.testing.fakes.providers.reply import Reply

__all__ = ["Providers"]

_PORTS = {"http": 80, "https": 443}


@final
class _Place:
    """Where a provider stands: an origin and a path that a request's begins with."""

    def __init__(self, base_url: str, provider: Provider, *, exact: bool) -> None:
        parts = urlsplit(base_url)
        self.base_url = base_url
        self.origin = _origin(parts)
        self.path = parts.path.rstrip("/")
        self.provider = provider
        self._exact = exact

    def below(self, parts: SplitResult) -> bool:
        """Whether a request is for it; a provider's own host is its whole, so that a wrong path there is noticed."""
        return _origin(parts) == self.origin and (self._exact or f"{parts.path}/".startswith(f"{self.path}/"))

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        if method != "POST" or not path.startswith(f"{self.path}/"):
            return None
        rest = path.removeprefix(self.path)
        for endpoint in self.provider.dialect.endpoints:
            if rest == endpoint.path or (not self._exact and rest.endswith(_tail(endpoint))):
                return endpoint
        return None


@final
class Providers:
    """The `providers` fixture: `openai` and `anthropic`, each with its answers and its calls.

    No request of httpx or httpx2 to one of them leaves the process; spans of instrumented clients come as ever.
    """

    def __init__(self) -> None:
        self._places: list[_Place] = []
        self._complaints: list[list[str]] = []
        self._ids = Ids()
        self._calls: list[Call] = []
        self.openai = self._open(OPENAI, OPENAI.base_url, name="providers.openai", exact=True)
        self.anthropic = self._open(ANTHROPIC, ANTHROPIC.base_url, name="providers.anthropic", exact=True)

    @property
    def calls(self) -> list[Call]:
        """The calls of all providers, in order."""
        return list(self._calls)

    def take_complaints(self) -> list[list[str]]:
        """What no answer could be made for, each in lines; empty from then on."""
        taken, self._complaints = self._complaints, []
        return taken

    def reply(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes,
        library: Library,
        timeouts: Mapping[str, float | None],
    ) -> tuple[Reply, Call | None] | None:
        """The answer to a request, and its record; None if it goes to none of them.

        Raises:
            Broken: an edge, or a function that was queued, breaks the connection.
        """
        place, endpoint = self._find(method, url)
        if place is None:
            return None
        provider = place.provider
        if endpoint is None:
            lines = unknown_path(provider.name, provider.dialect, place.base_url, method, url)
            self._complaints.append(lines)
            return error(provider.dialect, 501, lines[0], self._ids, retry=False), None
        call = Call(provider.name, endpoint.name, library, method, url, headers, _parsed(content), timeouts)
        self._calls.append(call)
        return provider.reply(call, endpoint), call

    def knows(self, method: str, url: str) -> bool:
        """Whether it is an operation of one of the providers."""
        return self._find(method, url)[1] is not None

    def _find(self, method: str, url: str) -> tuple[_Place | None, Endpoint | None]:
        parts = urlsplit(url)
        places = [place for place in self._places if place.below(parts)]
        if not places:
            return None, None
        place = max(places, key=lambda each: len(each.path))
        return place, place.endpoint(method, parts.path)

    def _open(self, dialect: Dialect, base_url: str, *, name: str, exact: bool) -> Provider:
        provider = Provider(dialect, name, self._complaints_of, partial(self._at, dialect))
        self._places.append(_Place(base_url, provider, exact=exact))
        return provider

    def _complaints_of(self, lines: list[str]) -> None:
        self._complaints.append(lines)

    def _at(self, dialect: Dialect, base_url: str) -> Provider:
        parts = urlsplit(base_url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(f"a base URL begins with https:// or http:// and a host; got {base_url!r}")
        for place in self._places:
            if place.origin == _origin(parts) and place.path == parts.path.rstrip("/"):
                if place.provider.dialect is not dialect:
                    raise ValueError(f"{base_url!r} already speaks the dialect of {place.provider.dialect.name}")
                return place.provider
        return self._open(dialect, base_url, name=f"providers.{dialect.name}.at({base_url!r})", exact=False)


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)


def _tail(endpoint: Endpoint) -> str:
    """What a path must end with elsewhere: base URLs there have or lack the version."""
    return endpoint.path.removeprefix("/v1")


def _parsed(content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError:
        return None
