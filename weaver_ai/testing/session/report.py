"""The trace of a failed test, as a section of its report."""

from __future__ import annotations

from collections.abc import Iterator

from weaver_ai.spans.render import Style, tree_lines
from weaver_ai.spans.tree import Forest
from weaver_ai.testing.capture.recording import Recording
from weaver_ai.testing.capture.remote import explain_orphan
from weaver_ai.testing.logs import lines_of

__all__ = ["log_lines", "trace_lines"]


def trace_lines(recording: Recording, *, colour: bool = False, budget: int = 40) -> Iterator[str]:
    """The captured trees, at most `budget` lines of them, and what else the reader must know."""
    forest = Forest(recording.snapshot())
    if forest.spans:
        yield from tree_lines(forest, style=Style(colour=colour), budget=budget)
    else:
        yield "no span was captured:"
        yield from (f"  {reason}" for reason in recording.why_empty())
        return
    if recording.strays:
        names = ", ".join(f"{stray.name!r} of {stray.origin.name}" for stray in recording.strays[:3])
        more = len(recording.strays) - 3
        which = "another test left it behind" if len(recording.strays) == 1 else "other tests left them behind"
        yield f"left out, for {which}: {names}{f', and {more} more' if more > 0 else ''}"
    for span in recording.remote_orphans()[:3]:
        yield explain_orphan(span)
    if recording.sampled_out:
        yield f"the provider's sampler left out: {len(recording.sampled_out)}"
    if recording.forced:
        yield f"the provider's sampler would have left out {recording.forced} of them"


def log_lines(recording: Recording, *, budget: int = 40) -> Iterator[str]:
    """The log records, the last of them if there are more than `budget`."""
    lines = lines_of(recording)
    if len(lines) > budget:
        yield f"{len(lines) - budget} earlier ones are left out"
    yield from lines[-budget:]
