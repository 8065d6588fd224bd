"""Traces as text: one line a span, within a budget of lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from weaver_ai.spans.model import Span
from weaver_ai.spans.normalise import normalise
from weaver_ai.spans.tree import Forest
from weaver_ai.spans.values import clip, one_line, show

__all__ = ["PLAIN", "Ink", "Style", "seconds", "tree_lines"]

Ink: TypeAlias = Literal["red", "green", "yellow", "cyan", "dim", "bold"]

_INKS: Mapping[Ink, int] = MappingProxyType({"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36})
_NOTHING: Mapping[int, str] = MappingProxyType({})
_NAME_WIDTH = 52
_ASCII = {ord("…"): "...", ord("µ"): "u"}


@dataclass(frozen=True, slots=True)
class Style:
    """How text is set.

    Attributes:
        width: columns; longer values are clipped in their middle.
        colour: ANSI colours.
        ascii: no box drawing, for terminals and logs that can't show it.
        stable: leave out durations and normalise values, so that two runs give the same text.
    """

    width: int = 100
    colour: bool = False
    ascii: bool = False
    stable: bool = False

    def paint(self, text: str, *inks: Ink) -> str:
        if not self.colour or not text or not inks:
            return text
        return f"\x1b[{';'.join(str(_INKS[ink]) for ink in inks)}m{text}\x1b[0m"

    @property
    def branches(self) -> tuple[str, str, str, str]:
        """A child that has more siblings, the last child, and what stands below each of them."""
        return ("|-- ", "`-- ", "|   ", "    ") if self.ascii else ("├── ", "└── ", "│   ", "    ")

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
    shown = _chosen(forest, order, list(notes), max(budget, 3))
    rows = list(_rows(forest, tops, shown, style))
    widths = [min(len(row.prefix) + len(row.text), _NAME_WIDTH) for row in rows if row.position is not None]
    setter = _Setter(forest, style, attributes, notes, max(widths, default=0))
    for row in rows:
        line = style.paint(row.prefix + row.text, "dim") if row.position is None else setter.line(row, row.position)
        yield line.translate(_ASCII) if style.ascii else line


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
    more, last, through, blank = style.branches
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


def _left_out(forest: Forest, places: Sequence[int]) -> str:
    names = Counter(forest.spans[place].name for place in places).most_common(3)
    listed = ", ".join(f"{clip(name, 30)} ({count})" if count > 1 else clip(name, 30) for name, count in names)
    rest = len(places) - sum(count for _, count in names)
    return f"… {len(places)} more: {listed}{', …' if rest else ''}"


def _rooms(wanted: Sequence[int], room: int) -> list[int]:
    """How much each gets: what it wants, and the longest ones an equal share of what the others leave."""
    rooms = [0] * len(wanted)
    shortest_first = sorted(range(len(wanted)), key=wanted.__getitem__)
    for number, index in enumerate(shortest_first):
        rooms[index] = min(wanted[index], room // (len(wanted) - number))
        room -= rooms[index]
    return rooms


def _fitted(text: str, room: int) -> str:
    """Clipped; a long attribute name gives up its namespace first."""
    key, equals, value = text.partition("=")
    if len(text) <= room or not equals or " " in key:
        return clip(text, room)
    return clip(f"{key.rpartition('.')[2]}={value}", room)


@dataclass(frozen=True, slots=True)
class _Setter:
    """Sets the lines of spans; `names` is the width of the first column."""

    forest: Forest
    style: Style
    attributes: Sequence[str]
    notes: Mapping[int, str]
    names: int

    def line(self, row: _Row, position: int) -> str:
        style, span = self.style, self.forest.spans[position]
        name = clip(row.text, max(_NAME_WIDTH - len(row.prefix), 20))
        used = len(row.prefix) + len(name)
        parts = [style.paint(row.prefix, "dim") + name]
        if style.stable:
            parts.append("  open" if span.is_open else "")
        else:
            time = seconds(span.duration).rjust(7)
            parts.append(" " * (self.names - used) + "  " + style.paint(time, "yellow" if span.is_open else "dim"))
            used = max(self.names, used) + 9
        note = f"{style.arrow} {self.notes[position]}" if position in self.notes else ""
        remarks = [(one_line(text), ink) for text, ink in self._remarks(position)]
        rooms = _rooms([len(text) + 2 for text, _ in remarks], style.width - used - (len(note) + 2 if note else 0))
        for (text, ink), room in zip(remarks, rooms, strict=True):
            parts.append("  " + style.paint(_fitted(text, max(room - 2, 12)), ink))
        return "".join([*parts, "  " + style.paint(note, "cyan") if note else ""])

    def _remarks(self, position: int) -> Iterator[tuple[str, Ink]]:
        span = self.forest.spans[position]
        if span.status.code == "error":
            yield f"ERROR {self._error(span)}".rstrip(), "red"
        if self.forest.is_orphan(position):
            yield "orphan: its parent was not captured", "yellow"
        for key in self.attributes:
            if key in span.attributes:
                value = span.attributes[key]
                yield f"{key}={show(normalise(key, value) if self.style.stable else value)}", "cyan"
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
