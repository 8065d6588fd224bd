"""A provider in memory: the answers queued for it and the calls that it got."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Self, final

from weaver_ai.testing.fakes.providers.answers import Embedding, Says, Spoken, Structured, Usage, counted, spoken
from weaver_ai.testing.fakes.providers.call import Call
from weaver_ai.testing.fakes.providers.complaints import Complain, broken_replier, no_answer, nothing_queued
from weaver_ai.testing.fakes.providers.dialects import Dialect, Endpoint, answer, error
from weaver_ai.testing.fakes.providers.faulted import faulted
from weaver_ai.testing.fakes.providers.ids import Ids
from weaver_ai.testing.fakes.providers.openai_embeddings import embeddings
from weaver_ai.testing.fakes.providers.reply import Broken, Reply, json_reply

__all__ = ["Answer", "Edge", "Provider", "Replier"]

Answer = Spoken | Embedding | Reply
Replier = Callable[[Call], Answer]
Edge = Callable[[Call, Callable[[], Reply]], Reply]
"""Stands between a client and the provider: gets the call and what would answer it; may raise `Broken`."""

_UNREADABLE = "We could not parse the JSON body of your request."


@final
class Provider:
    """One provider, at one base URL.

    Attributes:
        calls: the requests that it got, in order.
        dialect: what it speaks.
        name: how messages name it, as an expression: `providers.openai`.
    """

    def __init__(self, dialect: Dialect, name: str, complain: Complain, open_at: Callable[[str], Provider]) -> None:
        self.dialect = dialect
        self.name = name
        self.calls: list[Call] = []
        self._complain = complain
        self._open_at = open_at
        self._ids = Ids()
        self._lock = threading.RLock()
        self._queued: deque[Answer | Replier] = deque()
        self._vectors: deque[Embedding] = deque()
        self._always: Answer | Replier | None = None
        self._edges: list[Edge] = []
        self._given = 0
        self._unused: list[Reply] = []  # errors that the test made and gave to nobody

    def replies(self, *answers: Answer | Replier) -> Self:
        """Queue answers, each for one call, in order.

        A text, `tool_call(...)`, `says(...)` or `structured(...)`; a function of the `Call` that returns one; or a
        `Reply`, byte for byte. `embedding(...)` goes to the next embeddings call, which without one gets vectors that
        follow from its inputs.

        Raises:
            TypeError: something else was given.
        """
        for each in answers:
            self._check(each, "replies")
        with self._lock:
            for each in answers:
                if isinstance(each, Embedding):
                    self._vectors.append(each)
                else:
                    self._queued.append(each)
        return self

    def always(self, reply: Answer | Replier) -> Self:
        """What every call gets once nothing is queued.

        Raises:
            TypeError: as for `replies`.
        """
        self._check(reply, "always")
        with self._lock:
            self._always = reply
        return self

    def at(self, base_url: str) -> Provider:
        """The provider at another base URL that speaks this dialect (Azure, a proxy, Ollama); made on first use.

        It has answers and calls of its own, and answers every path below the URL that ends as the dialect's do.
        """
        return self._open_at(base_url)

    def intercept(self, edge: Edge) -> Callable[[], None]:
        """Put something in front of the answers; the last one put there is asked first. Returns what takes it away."""
        with self._lock:
            self._edges.append(edge)

        def remove() -> None:
            with self._lock:
                if edge in self._edges:
                    self._edges.remove(edge)

        return remove

    @property
    def queued(self) -> int:
        """How many answers nobody has asked for yet."""
        with self._lock:
            return len(self._queued) + len(self._vectors)

    @property
    def usage(self) -> Usage:
        """The tokens of all answers, as they were sent."""
        sent = [call.usage for call in tuple(self.calls) if call.usage is not None]
        return Usage(
            input=sum(usage.input for usage in sent),
            output=sum(usage.output for usage in sent),
            cached=sum(usage.cached for usage in sent),
            reasoning=sum(usage.reasoning for usage in sent),
        )

    def error(self, status: int, message: str, *, kind: str | None = None, retry_after: float | None = None) -> Reply:
        """An error as this provider sends it, for `replies`, for a function's answer or for an edge; queues nothing."""
        made = error(self.dialect, status, message, self._ids, kind=kind, retry_after=retry_after)
        self._unused.append(made)
        return made

    def reply(self, call: Call, endpoint: Endpoint) -> Reply:
        """Record the call and answer it."""
        with self._lock:
            self.calls.append(call)
            edges = tuple(self._edges)
        go: Callable[[], Reply] = partial(self._answer, call, endpoint)
        for edge in edges:
            go = partial(edge, call, go)
        return faulted(call, self.dialect, go)

    def _answer(self, call: Call, endpoint: Endpoint) -> Reply:
        if not isinstance(call.body, dict):
            return error(self.dialect, 400, _UNREADABLE, self._ids)
        if endpoint.body is None:
            return self._embed(call)
        planned = self._next()
        if planned is None:
            said = sum(each.endpoint != "embeddings" for each in tuple(self.calls))
            lines = nothing_queued(self.name, call, number=said, given=self._given, errors=len(self._unused))
            return self._fail(lines)
        if not callable(planned):
            return self._send(planned, call, endpoint)
        try:
            return self._send(planned(call), call, endpoint)
        except Broken:
            raise
        except Exception as raised:  # noqa: BLE001 - the test's own function; the client swallows whatever it raises
            return self._fail(broken_replier(self.name, call, raised))

    def _send(self, planned: Answer, call: Call, endpoint: Endpoint) -> Reply:
        if isinstance(planned, Reply):
            self._used(planned)
            return planned
        if not isinstance(planned, str | Says | Structured):
            raise TypeError(f"{type(planned).__name__} is no answer to {endpoint.name}")
        turn = spoken(planned, call)
        call.usage = counted(turn, call)
        return answer(self.dialect, endpoint, turn, call.usage, asked=call, ids=self._ids)

    def _embed(self, call: Call) -> Reply:
        with self._lock:
            planned = self._vectors.popleft() if self._vectors else None
        try:
            body, call.usage = embeddings(planned, call)
        except ValueError as error:
            return self._fail(broken_replier(self.name, call, error))
        return json_reply(200, self.dialect.headers(self._ids), body)

    def _check(self, given: object, verb: str) -> None:
        """That it is an answer, where the test says it: the code under test may swallow what comes later."""
        if isinstance(given, Reply):
            self._used(given)
        elif not isinstance(given, str | Says | Structured | Embedding) and not callable(given):
            raise TypeError(no_answer(self.name, verb, given))

    def _used(self, reply: Reply) -> None:
        self._unused = [each for each in self._unused if each is not reply]

    def _next(self) -> Answer | Replier | None:
        with self._lock:
            if not self._queued:
                return self._always
            self._given += 1
            return self._queued.popleft()

    def _fail(self, lines: list[str]) -> Reply:
        """Answer so that the code under test sees it and need not retry; the test fails whether or not it looks."""
        self._complain(lines)
        return error(self.dialect, 501, lines[0], self._ids, retry=False)
