"""What `assert left == right` says where a side is spans or their number."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence

from weaver_ai.spans.render import seconds
from weaver_ai.spans.values import MISSING, clip, one_line, show
from weaver_ai.testing.asserting.expect import Count, Selection, SpanView
from weaver_ai.testing.asserting.explain import guess

__all__ = ["compare"]

_SHOWN = 8
_COUNTED = 5


def compare(left: object, op: str, right: object, *, whole: bool = False) -> list[str] | None:
    """The lines for `pytest_assertrepr_compare`; None where neither side is spans, or the comparison is another.

    The first line is the comparison; the others say in which items, or in which fields, the sides differ: the first
    of them, where it isn't to be the whole.
    """
    most = sys.maxsize if whole else _SHOWN
    for side in (left, right):
        if isinstance(side, Count):
            comparison = f"{_number(left)} {op} {_number(right)}"
            return list(_count(comparison, side, sys.maxsize if whole else _COUNTED))
    if isinstance(left, SpanView) and isinstance(right, SpanView) and op == "==":
        return list(_two(left, right))
    if op in {"==", "!="} and _are_spans(left, right):
        return list(_lists(_listed(left), op, _listed(right), most))
    if op in {"in", "not in"} and isinstance(left, SpanView) and _is_spans(right):
        return list(_membership(left, op, _listed(right), most))
    return None


def _number(side: object) -> str:
    if not isinstance(side, Count):
        return show(side)
    return f"{side.look.subject}.count({side.pattern.asked() if side.pattern else ''})"


def _count(comparison: str, count: Count, most: int) -> Iterator[str]:
    """Short, for pytest cuts an assertion's explanation after eight lines; the trace stands in its own section."""
    yield f"{comparison}, was {int(count)}"
    if count.pattern is None:
        return
    yield ""
    if not count:
        yield f"none of {len(count.look.domain)} spans matches{guess(count.look, count.pattern)}"
    for position in count.found[:most]:
        yield f"  {_described(SpanView(count.look, position))}"
    if len(count.found) > most:
        yield f"  … {len(count.found) - most:,} more; -vv shows all"


def _is_spans(side: object) -> bool:
    if isinstance(side, Selection):
        return True
    return isinstance(side, list | tuple) and all(isinstance(item, SpanView) for item in side)


def _are_spans(left: object, right: object) -> bool:
    return _is_spans(left) and _is_spans(right) and bool(_listed(left) or _listed(right))


def _listed(side: object) -> list[SpanView]:
    return [item for item in side if isinstance(item, SpanView)] if isinstance(side, Iterable) else []


def _names(spans: Sequence[SpanView]) -> str:
    names = [span.name for span in spans[:_SHOWN]]
    return clip(f"[{', '.join(names)}{', ...' if len(spans) > len(names) else ''}]", 72)


def _lists(left: Sequence[SpanView], op: str, right: Sequence[SpanView], most: int) -> Iterator[str]:
    yield f"{_names(left)} {op} {_names(right)}"
    if op == "!=":
        return
    yield ""
    each = "1 span each" if len(left) == 1 else f"{len(left)} spans each"
    yield f"{len(left)} span{'' if len(left) == 1 else 's'}, not {len(right)}" if len(left) != len(right) else each
    only_left = [span for span in left if span not in right]
    only_right = [span for span in right if span not in left]
    for side, spans in (("left", only_left), ("right", only_right)):
        if spans:
            yield f"only on the {side}:"
            yield from (f"  {_described(span)}" for span in spans[:most])
            if len(spans) > most:
                yield f"  … {len(spans) - most:,} more; -vv shows all"
    if not only_left and not only_right:
        yield "the same spans in another order"


def _membership(span: SpanView, op: str, spans: Sequence[SpanView], most: int) -> Iterator[str]:
    yield f"{one_line(span.name)} {op} {_names(spans)}"
    yield ""
    yield f"the span: {_described(span)}"
    yield from (f"among:    {_described(other)}" for other in spans[:most])
    if len(spans) > most:
        yield f"  … {len(spans) - most:,} more; -vv shows all"


def _described(span: SpanView) -> str:
    error = f" ERROR {span.status.description or ''}".rstrip() if span.status.code == "error" else ""
    place = f" in {span.parent.name}" if span.parent else ""
    return clip(f"{span.name} {seconds(span.duration)}{error}{place}", 88)


def _two(left: SpanView, right: SpanView) -> Iterator[str]:
    yield f"{one_line(left.name)} == {one_line(right.name)}"
    yield ""
    yield f"two spans of {'one trace' if left.trace_id == right.trace_id else 'two traces'}; they differ in"
    for field, one, other in _fields(left, right):
        if one != other:
            yield f"  {one_line(field)}: {show(one, 40)} != {show(other, 40)}"
    apart = (right.start - left.start) / 1e9
    if apart:
        yield f"  start: the {'right' if apart > 0 else 'left'} one began {seconds(abs(apart))} later"


def _fields(left: SpanView, right: SpanView) -> Iterator[tuple[str, object, object]]:
    yield "name", left.name, right.name
    yield "kind", left.kind, right.kind
    yield "status", left.status.code, right.status.code
    yield "parent", left.parent.name if left.parent else None, right.parent.name if right.parent else None
    for key in dict.fromkeys([*left.attributes, *right.attributes]):
        yield key, left.attributes.get(key, MISSING), right.attributes.get(key, MISSING)
