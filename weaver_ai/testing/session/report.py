"""The trace of a failed test, as a section of its report."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from weaver_ai.spans.render import Style, tree_lines
from weaver_ai.spans.tree import Forest, Key, key_of
from weaver_ai.spans.values import clip
from weaver_ai.testing.capture.recording import Recording
from weaver_ai.testing.capture.remote import explain_orphan
from weaver_ai.testing.signals.logs import lines_of

__all__ = ["log_lines", "trace_lines"]


def trace_lines(
    recording: Recording, style: Style, *, shown: Collection[Key] | None = None, budget: int = 40
) -> Iterator[str]:
    """The captured trees but for those `shown` in the message, and what else the reader must know.

    The trees are at most `budget` lines. Nothing is left of a trace that the message has shown whole.
    """
    forest = Forest(recording.snapshot())
    if forest.spans:
        roots = [root for root in forest.roots if key_of(forest.spans[root]) not in (shown or ())]
        if roots:
            yield from tree_lines(forest, style=style, roots=roots, budget=budget)
    else:
        if shown is None:  # else the message says it
            yield "no span was captured:"
            yield from (f"  {reason}" for reason in recording.why_empty())
        return
    if recording.strays:
        names = ", ".join(f"{stray.name!r} of {stray.origin.name}" for stray in recording.strays[:3])
        more = len(recording.strays) - 3
        which = "another test left it behind" if len(recording.strays) == 1 else "other tests left them behind"
        rest = f", and {more:,} more" if more > 0 else ""
        yield clip(f"left out, for {which}: {names}", max(style.room - len(rest), 40)) + rest
    for span in recording.remote_orphans()[:3]:
        yield clip(explain_orphan(span), style.room)
    if recording.remote.has_any:
        yield from recording.remote.refusals()
    else:
        yield from recording.remote.why_empty()
    if recording.sampled_out:
        yield f"the provider's sampler left out: {len(recording.sampled_out)}"
    if recording.forced:
        yield f"the provider's sampler would have left out {recording.forced} of them"


def log_lines(recording: Recording, style: Style, *, budget: int = 40) -> Iterator[str]:
    """The log records, the last of them if there are more than `budget`."""
    lines = lines_of(recording)
    if len(lines) > budget and not style.whole:
        yield style.more(f"{len(lines) - budget:,} earlier")
        lines = lines[-budget:]
    yield from (clip(line, style.room) for line in lines)
