"""The `spans` fixture's object: the verbs over what a source recorded so far."""

from __future__ import annotations

from weaver_ai.testing.source import Source

__all__ = ["Spans"]


class Spans:
    """Asks a source.

    Args:
        source: what records; asked again whenever its version grew.
        timeout: seconds that `eventually`, `wait` and `settle` wait unless they are told otherwise.
        colour: colour the messages (ANSI); False in CI.
    """

    def __init__(self, source: Source, *, timeout: float = 5.0, colour: bool = False) -> None:
        self._source = source
        self._timeout = timeout
        self._colour = colour
