"""A span that is nearly what was asked, and why it isn't: a line or two for each condition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weaver_ai.spans.query import Verdict
from weaver_ai.spans.render import Style, seconds
from weaver_ai.spans.values import clip, columns, one_line, show

__all__ = ["candidate_lines", "told_apart", "verdict_lines"]


def candidate_lines(verdicts: Sequence[Verdict], style: Style, most: int) -> Iterator[str]:
    """A span that is nearly what was asked, and at most so many lines of why it isn't."""
    forest, position = verdicts[0].forest, verdicts[0].position
    span = forest.spans[position]
    parent = forest.parent(position)
    place = "" if parent is None else f"in {show(forest.spans[parent].name, style.room // 3)}, "
    about = f"({place}{seconds(span.duration)})"
    yield f"  {clip(span.name, max(style.room - columns(about) - 4, 20))}  {style.paint(about, 'dim')}"
    told = [verdict for verdict in verdicts if not (verdict.matched and verdict.label == "ended")]
    width = max(columns(_label(verdict, style)) for verdict in told)
    lines = [list(verdict_lines(verdict, style, "    ", width)) for verdict in told]
    if sum(map(len, lines)) <= most or style.whole:
        yield from (line for each in lines for line in each)
        return
    differing = [each for each, verdict in zip(lines, told, strict=True) if not verdict.matched]
    shown = 0
    for each in differing:
        if shown and shown + len(each) > most - 1:
            break
        yield from each
        shown += len(each)
    yield f"      {clip(style.more(_others(told, differing, shown)), style.room - 6)}"


def _others(told: Sequence[Verdict], differing: Sequence[Sequence[str]], lines: int) -> str:
    """How many verdicts are left out, where so many lines of those that differ are shown."""
    left, room = len(differing), lines
    for each in differing:
        room -= len(each)
        if room < 0:
            break
        left -= 1
    held = len(told) - len(differing)
    parts = [f"{left:,} more that differ" if left else "", f"{held:,} as asked" if held else ""]
    return ", ".join(filter(None, parts))


def _label(verdict: Verdict, style: Style) -> str:
    return clip(verdict.label, style.room if style.whole else style.width * 2 // 5)


def verdict_lines(verdict: Verdict, style: Style, lead: str, width: int = 0) -> Iterator[str]:
    """A mark, what was looked at, what it is; and where that isn't as expected, what was."""
    good, bad = style.marks
    label = _label(verdict, style)
    label += " " * (width - columns(label))
    blank = f"{lead}  {' ' * columns(label)}  "
    room = max(style.room - len(blank), 20)
    if verdict.matched:
        found = verdict.in_full[1] if style.whole else verdict.actual
        yield f"{lead}{style.paint(good, 'green')} {label}  {clip(found, room)}"
        return
    told = told_apart(verdict, style, room)
    yield f"{lead}{style.paint(bad, 'red')} {label}  {told[0]}"
    yield from (blank + line for line in told[1:])


def told_apart(verdict: Verdict, style: Style, room: int) -> list[str]:
    """What was expected and what there was, on one line where both fit, else on one each; then where they differ."""
    plain, difference = verdict.apart
    wanted, found = verdict.in_full if style.whole else (verdict.expected, verdict.actual)
    if not style.whole and difference:
        if columns(found) + 4 <= room and found != plain:  # it tells the difference
            difference = ""
        else:
            found = plain
    expected, was = f"expected {one_line(wanted)}", f"was {one_line(found)}"
    together = f"{expected}, {was}"
    lines = [together] if columns(together) <= room else [clip(expected, room), clip(was, room)]
    return [*lines, *_difference(difference, room)] if difference else lines


def _difference(difference: str, room: int) -> Iterator[str]:
    """On one line if it fits, else its place and the two sides below each other."""
    if columns(difference) <= room:
        yield difference
        return
    place, _, values = difference.partition(": expected ")
    wanted, _, found = values.rpartition(", was ")
    yield clip(f"{place}:", room)
    yield clip(f"  expected {wanted}", room)
    yield clip(f"  was      {found}", room)
