"""Why a tree is not as expected: the smallest difference, drawn into the captured tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from weaver_ai.spans.diff import Edit, difference
from weaver_ai.spans.expected import Node, TreePattern, text_of
from weaver_ai.spans.query import Verdict
from weaver_ai.spans.render import Style
from weaver_ai.spans.values import clip, columns, one_line, show
from weaver_ai.testing.asserting.explain import Look, captured, headline
from weaver_ai.testing.asserting.explain_verdicts import told_apart

__all__ = ["mismatch"]

_SCREEN = 36
_DIFFERENCE = 24
_LEGEND = {"-": "expected, not captured", "+": "captured, not expected"}


def mismatch(look: Look, expected: Node, position: int) -> Iterator[str]:
    """The difference, then the captured tree with its durations, statuses and the attributes that were named."""
    edit = difference(expected, position, look.forest)
    count = edit.count()
    name = show(look.forest.spans[position].name, look.style.room // 3)
    asked = clip(f"{name}.expect({_summary(expected)})", look.style.room - look.style.first - 1)
    lines = [*headline(look, asked, "1 difference" if count == 1 else f"{count} differences"), ""]
    rows = list(_rows(look, edit, "", ""))
    lines += [_set(row, look.style) for row in (rows if look.style.whole else _shortened(rows, look.style))]
    yield from lines
    legend = [f"{mark} {_LEGEND[mark]}" for mark in _LEGEND if any(row.mark == mark for row in rows)]
    if legend:
        yield ""
        together = f"  {'   '.join(legend)}"
        yield from [together] if columns(together) <= look.style.room else (f"  {line}" for line in legend)
    yield from captured(look, [position], _failed(edit), {}, max(_SCREEN - len(lines) - 4, 6))


def _failed(edit: Edit) -> tuple[str, ...]:
    own = [key for verdict in edit.failed for key in verdict.condition.attributes]
    return tuple(dict.fromkeys([*own, *(key for inner in edit.below for key in _failed(inner))]))


def _summary(expected: Node) -> str:
    if isinstance(expected, TreePattern):
        return f"tree({text_of(expected.root)}{', ...' if expected.children else ''})"
    return text_of(expected)


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the difference; `same` ones give way where there are too many."""

    mark: Literal[" ", "✗", "-", "+"]
    lead: str
    text: str
    is_same: bool = False


def _rows(look: Look, edit: Edit, lead: str, below: str) -> Iterator[_Row]:
    yield from _head(look, edit, lead, below)
    if edit.kind != "changed":
        return
    more, last, through, blank = look.style.branches
    groups = list(_grouped(edit.below))
    for index, group in enumerate(groups):
        branch, under = (last, blank) if index == len(groups) - 1 else (more, through)
        if group[0].kind == "permitted":
            yield _Row(" ", below + branch, f"... ({len(group)} permitted)", is_same=True)
        else:
            yield from _rows(look, group[0], below + branch, below + under)


def _grouped(edits: Sequence[Edit]) -> Iterator[list[Edit]]:
    """Each alone, but spans that `...` let in, one after the other, together."""
    for is_permitted, group in groupby(edits, key=lambda edit: edit.kind == "permitted"):
        if is_permitted:
            yield list(group)
        else:
            yield from ([edit] for edit in group)


def _head(look: Look, edit: Edit, lead: str, below: str) -> Iterator[_Row]:
    if edit.position is None:
        yield _Row("-", lead, _expected(edit.node))
        return
    name = one_line(look.forest.spans[edit.position].name)
    if edit.kind == "unexpected":
        yield _Row("+", lead, name)
    elif not edit.failed:
        yield _Row(" ", lead, name, is_same=edit.kind != "changed")
    else:
        yield _Row("✗", lead, name)
        through = below + (look.style.branches[2] if edit.below else "  ")
        for verdict in edit.failed:
            for line in _reason(verdict, look.style, max(look.style.room - len(through) - 4, 20)):
                yield _Row(" ", through, line)


def _expected(node: Node | None) -> str:
    return "..." if node is None else text_of(node.root if isinstance(node, TreePattern) else node)


def _reason(verdict: Verdict, style: Style, width: int) -> Iterator[str]:
    label = clip(verdict.label, style.room if style.whole else width * 2 // 5)
    first, *others = told_apart(verdict, style, max(width - columns(label) - 2, 20))
    yield f"{label}: {first}"
    yield from (" " * (columns(label) + 2) + line for line in others)


def _shortened(rows: Sequence[_Row], style: Style, limit: int = _DIFFERENCE) -> list[_Row]:
    """What is as expected is folded first, then what comes last."""
    if len(rows) > limit:
        folded: list[_Row] = []
        for row in rows:
            if row.is_same and folded and folded[-1].is_same:
                previous = folded[-1].text
                known = int(previous.split()[1]) if previous.startswith("… ") else 1
                folded[-1] = _Row(" ", row.lead, f"… {known + 1} as expected", is_same=True)
            else:
                folded.append(row)
        rows = folded
    if len(rows) > limit:
        rows = [*rows[: limit - 1], _Row(" ", "", style.more(f"{len(rows) - limit + 1:,} more lines"))]
    return list(rows)


def _set(row: _Row, style: Style) -> str:
    lead, text = style.paint(row.lead, "dim"), clip(row.text, max(style.room - len(row.lead) - 4, 20))
    if row.mark == " ":
        return f"    {lead}{text}".rstrip()
    mark = style.marks[1].strip() if row.mark == "✗" else row.mark
    return f"  {style.paint(mark, 'green' if row.mark == '+' else 'red')} {lead}{text}"
