"""The network guard: what would leave the process is stopped, and remembered for the end of the test."""

from __future__ import annotations

import errno
import linecache
import sys
import sysconfig
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Self, final
from urllib.parse import urlsplit

from weaver_ai.testing.network import edges
from weaver_ai.testing.network.allowed import AllowedHosts
from weaver_ai.testing.network.urls import shown_url

__all__ = ["Frame", "Guard", "NetworkBlocked", "Violation", "violation_lines"]

_FRAMES = 6
_FOREIGN = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    | {str(Path(__file__).parent), "<"}
)
_ENDPOINTS = {
    "/chat/completions": "openai",
    "/responses": "openai",
    "/embeddings": "openai",
    "/messages": "anthropic",
}
_OWN_HOSTS = ("api.openai.com", "api.anthropic.com")


class NetworkBlocked(ConnectionRefusedError):
    """The code under test was about to reach a host that the test does not allow.

    Clients take it for a refused connection: they close their sockets, and map it to an error of their own.
    """

    def __init__(self, message: str) -> None:
        super().__init__(errno.ECONNREFUSED, message)


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of the caller's code."""

    file: str
    line: int
    function: str
    source: str


@dataclass(frozen=True, slots=True)
class Violation:
    """One attempt.

    Attributes:
        verb: the HTTP method; below HTTP `connect`, `send to` or `resolve`.
        target: the URL without secrets; below HTTP host and port.
        host: what an allow-list would have to name.
        span: the name of the span that was current.
        thread: the name of the thread, unless it was the main one.
        stack: the caller's own lines, outermost first.
    """

    verb: str
    target: str
    host: str
    span: str | None
    thread: str | None
    stack: tuple[Frame, ...]


@final
class Guard:
    """Stops what leaves the process, from `__enter__` to `__exit__`; the innermost guard decides.

    Stopped code gets `NetworkBlocked`. It may swallow it: the violation stays here.
    """

    def __init__(self, allowed: AllowedHosts | None = None) -> None:
        self._allowed = allowed or AllowedHosts()
        self._violations: list[Violation] = []

    def take(self) -> list[Violation]:
        """The violations so far; each is given once."""
        taken: list[Violation] = []
        while self._violations:
            taken.append(self._violations.pop(0))
        return taken

    def __enter__(self) -> Self:
        edges.enter(self)
        return self

    def __exit__(self, *_: object) -> None:
        edges.leave(self)

    # What the edges ask

    def request(self, method: str, url: str) -> None:
        host = urlsplit(url).hostname or ""
        if not self._allowed.reach(host):
            self._stop(method, shown_url(url), host)

    def reach(self, verb: str, host: str, port: object) -> None:
        if not self._allowed.reach(host):
            self._stop(verb, host if port is None else f"{edges.bracketed(host)}:{port}", host)

    def resolve(self, host: str) -> None:
        if not self._allowed.name(host):
            self._stop("resolve", host, host)

    def learn(self, host: str, addresses: Iterable[str]) -> None:
        self._allowed.learn(host, addresses)

    def _stop(self, verb: str, target: str, host: str) -> None:
        thread = threading.current_thread()
        name = None if thread is threading.main_thread() else thread.name
        stack = tuple(_stack(sys._getframe(1)))
        self._violations.append(Violation(verb, target, host, _span_name(), name, stack))
        raise NetworkBlocked(f"weaver's network guard stopped {verb} {target}")


def violation_lines(violations: Sequence[Violation]) -> Iterator[str]:
    """What a test is told that has any."""
    counted = Counter(violations)
    what = "1 request" if len(counted) == 1 else f"{len(counted)} requests"
    yield f"network guard: {what} would have left this process"
    for violation, times in counted.items():
        yield ""
        yield f"{violation.verb} {violation.target}{f' ({times} times)' if times > 1 else ''}"
        where = f"in span {violation.span!r}" if violation.span else "in no span"
        yield f"  {where}, thread {violation.thread!r}" if violation.thread else f"  {where}"
        for frame in violation.stack:
            yield f"  {frame.file}:{frame.line} in {frame.function}"
            yield f"    {frame.source}"
        if hint := _hint(violation):
            yield f"  {hint}"
    hosts = dict.fromkeys(violation.host for violation in counted)
    yield ""
    yield f"to let it through, in the ini file: weaver_network_allow = {' '.join(hosts)}"


def _hint(violation: Violation) -> str | None:
    """How `providers` answers it, where it looks like a model provider's request."""
    parts = urlsplit(violation.target)
    found = next(((path, dialect) for path, dialect in _ENDPOINTS.items() if parts.path.endswith(path)), None)
    if found is None:
        return None
    path, dialect = found
    if violation.host in _OWN_HOSTS:
        return f"to answer it: the fixture providers, providers.{dialect}.replies('...')"
    base = f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix(path)}"
    return f"to answer it: providers.{dialect}.at({base!r}).replies('...')"


def _span_name() -> str | None:
    """The current span's, if OpenTelemetry is loaded at all; only the SDK's spans have a name."""
    trace = sys.modules.get("opentelemetry.trace")
    name = getattr(trace.get_current_span(), "name", None) if trace else None
    return name if isinstance(name, str) else None


def _stack(frame: FrameType | None) -> list[Frame]:
    """The innermost lines of the caller's own code; of anybody's, if none of it is the caller's."""
    own: list[FrameType] = []
    all_frames: list[FrameType] = []
    while frame is not None:
        all_frames.append(frame)
        if not frame.f_code.co_filename.startswith(_FOREIGN):
            own.append(frame)
        frame = frame.f_back
    return [_frame(each) for each in reversed((own or all_frames)[:_FRAMES])]


def _frame(frame: FrameType) -> Frame:
    file = frame.f_code.co_filename
    source = linecache.getline(file, frame.f_lineno, frame.f_globals).strip()
    path = Path(file)
    shown = str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file
    return Frame(shown, frame.f_lineno, frame.f_code.co_name, source)
