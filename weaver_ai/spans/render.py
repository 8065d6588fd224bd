"""Traces as text: one line a span, within a budget of lines."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from weaver_ai.spans.model import Span
from weaver_ai.spans.normalise import normalise
from weaver_ai.spans.tree import Forest
from weaver_ai.spans.values import SHOWN, clip, columns, one_line, show

__all__ = ["PLAIN", "Ink", "Style", "seconds", "shares", "tree_lines"]

Ink: TypeAlias = Literal["red", "green", "yellow", "cyan", "dim", "bold"]

_INKS: Mapping[Ink, int] = MappingProxyType({"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36})
_NOTHING: Mapping[int, str] = MappingProxyType({})
_NAME_WIDTH = 52
_REMARK = 12  # columns that an attribute or a status has at least
_ASCII = {ord("…"): "...", ord("µ"): "u"}


@dataclass(frozen=True, slots=True)
class Style:
    """How text is set.

    Attributes:
        width: columns; longer values are clipped in their middle.
        first: columns that the first line of a message lacks, for what is written before it.
        colour: ANSI colours.
        ascii: no box drawing, for terminals and logs that can't show it.
        stable: leave out durations and normalise values, so that two runs give the same text.
        whole: leave nothing out, however long it gets; `width` is then what it should be, not what it is.
        hint: how the reader gets what was left out, to stand behind how much that is.
    """

    width: int = 100
    first: int = 0
    colour: bool = False
    ascii: bool = False
    stable: bool = False
    whole: bool = False
    hint: str = ""

    @property
    def room(self) -> int:
        """The columns that a line may have."""
        return sys.maxsize if self.whole else self.width

    def more(self, text: str) -> str:
        """That something was left out."""
        return f"… {text}{self.hint and f'; {self.hint}'}"

    def paint(self, text: str, *inks: Ink) -> str:
        if not self.colour or not text or not inks:
            return text
        return f"\x1b[{';'.join(str(_INKS[ink]) for ink in inks)}m{text}\x1b[0m"

    @property
    def branches(self) -> tuple[str, str, str, str]:
        """A child that has more siblings, the last child, and what stands below each of them."""
        return ("|-- ", "`-- ", "|   ", "    ") if self.ascii else ("├── ", "└── ", "│   ", "    ")

    def branches_for(self, depth: int) -> tuple[str, str, str, str]:
        """As `branches`, narrower where a tree is so deep that they would take more than half of the line."""
        more, last, through, blank = self.branches
        step = next((step for step in (4, 2) if depth * step * 2 <= self.width), 1)
        if step == 2:  # noqa: PLR2004 # a column for the branch and one that is blank
            return more[:1] + " ", last[:1] + " ", through[:2], blank[:2]
        return more[:step], last[:step], through[:step], blank[:step]

    @property
    def marks(self) -> tuple[str, str]:
        return ("ok", "x ") if self.ascii else ("✓", "✗")

    @property
    def arrow(self) -> str:
        return "<-" if self.ascii else "←"


PLAIN = Style()


def seconds(duration: float | None) -> str:
    """Three digits at the most, with the unit that suits."""
    if duration is None:
        return "open"
    if duration < 0.9995e-3:  # noqa: PLR2004 # below, it is rounded to 1ms
        return f"{duration * 1e6:.0f}µs"
    if duration < 0.9995:  # noqa: PLR2004 # below, it is rounded to 1s
        return f"{duration * 1e3:.3g}ms"
    if duration < 60:  # noqa: PLR2004 # a minute
        return f"{duration:.3g}s"
    return f"{duration // 60:.0f}m {duration % 60:02.0f}s"


def tree_lines(
    forest: Forest,
    *,
    style: Style = PLAIN,
    roots: Sequence[int] | None = None,
    attributes: Sequence[str] = (),
    notes: Mapping[int, str] = _NOTHING,
    budget: int = 40,
) -> Iterator[str]:
    """The traces as trees: name, duration, status, the attributes named, links, and a note where there is one.

    Where they have more spans than `budget` lines, the spans with a note are kept with their ancestors,
    then those that failed or are open, then those nearest the roots; how many are left out, and which,
    stands where they would. A budget of less than 3 is taken as 3. Open spans and orphans are named as such.
    """
    tops = forest.roots if roots is None else roots
    order = [place for top in tops for place in (top, *forest.descendants(top))]
    shown = set(order) if style.whole else _chosen(forest, order, list(notes), max(budget, 3))
    rows = list(_rows(forest, tops, shown, style))
    widths = [columns(row.prefix + row.text) for row in rows if row.position is not None]
    most = sys.maxsize if style.whole else _name_width(style)
    setter = _Setter(forest, style, attributes, notes, min(max(widths, default=0), most), most)
    gaps = [row for row in rows if row.position is None]
    for row in rows:
        if row.position is None:
            line = style.paint(row.prefix + _gap(row, style, is_last=row is gaps[-1]), "dim")
        else:
            line = setter.line(row, row.position)
        yield line.translate(_ASCII) if style.ascii else line


def _name_width(style: Style) -> int:
    return min(_NAME_WIDTH, style.width * 6 // 10)


def _gap(row: _Row, style: Style, *, is_last: bool) -> str:
    hint = f"; {style.hint}" if style.hint and is_last else ""
    return clip(row.text, max(style.room - columns(row.prefix + hint), 10)) + hint


@dataclass(frozen=True, slots=True)
class _Row:
    prefix: str
    text: str
    position: int | None


def _chosen(forest: Forest, order: Sequence[int], noted: Sequence[int], budget: int) -> set[int]:
    if len(order) <= budget:
        return set(order)
    inside = set(order)
    striking = [place for place in order if _is_striking(forest.spans[place])]
    depth: dict[int | None, int] = {}
    for place in order:
        depth[place] = depth.get(forest.parent(place), -1) + 1
    wanted: dict[int, None] = {}
    for place in (*noted[:budget], *striking[:budget], *sorted(order, key=depth.__getitem__)[: budget * 2]):
        path = [place, *(above for above in forest.ancestors(place) if above in inside)]
        wanted.update(dict.fromkeys(reversed(path)))
    keep = min(len(wanted), budget)
    while keep > 1:
        shown = set(list(wanted)[:keep])
        excess = keep + len(_gaps(forest, order, shown)) - budget
        if excess <= 0:
            break
        keep -= excess
    return set(list(wanted)[: max(keep, 1)])


def _is_striking(span: Span) -> bool:
    return span.status.code == "error" or span.is_open


def _gaps(forest: Forest, order: Sequence[int], shown: set[int]) -> dict[int | None, list[int]]:
    """The spans left out, by the nearest ancestor that is shown."""
    gaps: dict[int | None, list[int]] = {}
    holder: dict[int, int | None] = {}
    for place in order:
        parent = forest.parent(place)
        above = parent if parent in shown else holder.get(parent) if parent is not None else None
        if place not in shown:
            holder[place] = above
            gaps.setdefault(above, []).append(place)
    return gaps


def _rows(forest: Forest, tops: Sequence[int], shown: set[int], style: Style) -> Iterator[_Row]:
    order = [place for top in tops for place in (top, *forest.descendants(top))]
    gaps = _gaps(forest, order, shown) if len(shown) < len(order) else {}
    more, last, through, blank = style.branches_for(_depth(forest, order, shown))
    drawn: set[int] = set()
    waiting: list[tuple[int | None, str, str, int | None]] = []
    if None in gaps:
        waiting.append((None, "", "", None))
    waiting.extend((top, "", "", None) for top in reversed(tops) if top in shown)
    while waiting:
        place, lead, branch, above = waiting.pop()
        if place is None:
            yield _Row(lead + branch, _left_out(forest, gaps[above]), None)
            continue
        if place in drawn:
            continue
        drawn.add(place)
        yield _Row(lead + branch, one_line(forest.spans[place].name), place)
        below = lead + {more: through, last: blank}.get(branch, "")
        inner: list[int | None] = [child for child in forest.children(place) if child in shown and child not in drawn]
        if place in gaps:
            inner.append(None)
        waiting.extend(
            (child, below, last if index == len(inner) - 1 else more, place)
            for index, child in reversed(list(enumerate(inner)))
        )


def _depth(forest: Forest, order: Sequence[int], shown: set[int]) -> int:
    depth: dict[int | None, int] = {}
    for place in order:
        if place in shown:
            depth[place] = depth.get(forest.parent(place), -1) + 1
    return max(depth.values(), default=0)


def _left_out(forest: Forest, places: Sequence[int]) -> str:
    names = Counter(forest.spans[place].name for place in places).most_common(3)
    listed = ", ".join(f"{clip(name, 30)} ({count})" if count > 1 else clip(name, 30) for name, count in names)
    rest = len(places) - sum(count for _, count in names)
    return f"… {len(places):,} more: {listed}{', …' if rest else ''}"


def shares(wanted: Sequence[int], room: int) -> list[int]:
    """How much each gets: what it wants, and the longest ones an equal share of what the others leave."""
    rooms = [0] * len(wanted)
    shortest_first = sorted(range(len(wanted)), key=wanted.__getitem__)
    for number, index in enumerate(shortest_first):
        rooms[index] = min(wanted[index], room // (len(wanted) - number))
        room -= rooms[index]
    return rooms


def _fitted(text: str, room: int) -> str:
    """Clipped; a long attribute name gives up the beginning of its namespace first, and shows that it did."""
    key, equals, value = text.partition("=")
    if columns(text) <= room or not equals or " " in key:
        return clip(text, room)
    parts = key.split(".")
    shorter = [f"…{'.'.join(parts[start:])}={value}" for start in range(1, len(parts))] or [text]
    return clip(next((each for each in shorter if columns(each) <= room), shorter[-1]), room)


@dataclass(frozen=True, slots=True)
class _Setter:
    """Sets the lines of spans; `names` is the width of the first column, `most` the widest that it may be."""

    forest: Forest
    style: Style
    attributes: Sequence[str]
    notes: Mapping[int, str]
    names: int
    most: int

    def line(self, row: _Row, position: int) -> str:
        style, span = self.style, self.forest.spans[position]
        name = clip(row.text, max(self.most - len(row.prefix), 20))
        used = len(row.prefix) + columns(name)
        parts = [style.paint(row.prefix, "dim") + name]
        if style.stable:
            parts.append("  open" if span.is_open else "")
        else:
            time = seconds(span.duration).rjust(7)
            parts.append(" " * (self.names - used) + "  " + style.paint(time, "yellow" if span.is_open else "dim"))
            used = max(self.names, used) + 9
        note = f"{style.arrow} {self.notes[position]}" if position in self.notes else ""
        left = style.room - used - (len(note) + 2 if note else 0)
        remarks = self._first_remarks(position, left)
        rooms = shares([columns(text) + 2 for text, _ in remarks], left)
        for (text, ink), room in zip(remarks, rooms, strict=True):
            parts.append("  " + style.paint(_fitted(text, max(room - 2, _REMARK)), ink))
        return "".join([*parts, "  " + style.paint(note, "cyan") if note else ""])

    def _first_remarks(self, position: int, room: int) -> list[tuple[str, Ink]]:
        """As many as there is room for, and how many more there are."""
        remarks = [(one_line(text), ink) for text, ink in self._remarks(position)]
        each = _REMARK + 2
        if len(remarks) <= max(room // each, 1):
            return remarks
        kept = max(room // each - 1, 0)
        return [*remarks[:kept], (f"… {len(remarks) - kept} more", "dim")]

    def _remarks(self, position: int) -> Iterator[tuple[str, Ink]]:
        span = self.forest.spans[position]
        if span.status.code == "error":
            yield f"ERROR {self._error(span)}".rstrip(), "red"
        if self.forest.is_orphan(position):
            yield "orphan: its parent was not captured", "yellow"
        for key in self.attributes:
            if key in span.attributes:
                value = span.attributes[key]
                value = normalise(key, value) if self.style.stable else value
                yield f"{key}={show(value, self.style.room if self.style.whole else SHOWN)}", "cyan"
        for link in span.links:
            end = self.forest.position((link.trace_id, link.span_id))
            yield f"links to {'a span not captured' if end is None else show(self.forest.spans[end].name)}", "dim"

    def _error(self, span: Span) -> str:
        raised = [event.attributes for event in span.events if event.name == "exception"]
        text = span.status.description or ""
        if raised:
            type_ = str(raised[-1].get("exception.type", "")).rpartition(".")[2]
            message = text or str(raised[-1].get("exception.message", ""))
            text = message if message.startswith(type_) else f"{type_}: {message}"
        return str(normalise("status.description", text)) if self.style.stable else text
