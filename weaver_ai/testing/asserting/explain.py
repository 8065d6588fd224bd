"""Why an expectation failed, in at most a screen: generators of lines that need no pytest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher, get_close_matches
from itertools import islice
from operator import itemgetter
from typing import final

from weaver_ai.spans.conditions import Ended, Name
from weaver_ai.spans.query import Condition, Either, SpanPattern, Verdict, find
from weaver_ai.spans.render import Style, seconds, tree_lines
from weaver_ai.spans.tree import Forest
from weaver_ai.spans.values import SHOWN, begin, clip, columns, one_line, show
from weaver_ai.testing.asserting.drawn import Drawn
from weaver_ai.testing.asserting.explain_verdicts import candidate_lines

__all__ = [
    "ExpectationFailed",
    "Look",
    "captured",
    "did_you_mean",
    "in_order",
    "many",
    "none_found",
    "still_open",
    "unwanted",
]

_SCREEN = 36
_GLIMPSE = 20  # lines of a trace that is too long to be shown whole
_NEAREST = 3
_VERDICTS = 20  # lines that say of the nearest why they aren't what was asked
_STEPS = 9  # of an order, around the one that did not come
_REASONS = 8
_SCANNED = 3000  # spans that are compared with the question to find the nearest ones


@final
class ExpectationFailed(AssertionError):
    """A trace isn't as a test expects; the message explains it."""

    __module__ = "builtins"  # as pytest's own: failures and their summary then begin with what matters

    def __init__(self, *args: object) -> None:
        # A lone surrogate of what was captured would end a session of pytest-xdist, which sends messages as UTF-8.
        super().__init__(*(_encodable(arg) if isinstance(arg, str) else arg for arg in args))

    def __reduce__(self) -> tuple[object, ...]:
        """So that it crosses processes (multiprocessing, a pool) although its class isn't where it says."""
        return _failed_again, self.args, vars(self) or None


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _failed_again(*args: object) -> ExpectationFailed:
    return ExpectationFailed(*args)


@dataclass(frozen=True, slots=True)
class Look:
    """What a question is put to.

    Attributes:
        forest: all that was captured.
        positions: the spans asked; None for all.
        roots: from where to draw what was captured; None for all.
        subject: as the test would write it.
        style: how messages are set.
        why: the reasons why nothing was captured.
        drawn: where it is noted which trees a message shows.
    """

    forest: Forest
    positions: Sequence[int] | None
    roots: Sequence[int] | None
    subject: str
    style: Style
    why: Callable[[], Sequence[str]]
    drawn: Drawn | None = None

    @property
    def domain(self) -> Sequence[int]:
        return range(len(self.forest)) if self.positions is None else self.positions


def none_found(look: Look, verb: str, pattern: SpanPattern | None, *, waited: float | None = None) -> Iterator[str]:
    """No span matches, and one should."""
    asked = _asked(look, verb, pattern)
    after = "" if waited is None else f" after {waited:g}s"
    if not look.domain:
        yield from _nothing(look, asked, after, pattern)
        return
    hint = "" if pattern is None else guess(look, pattern)
    lines = [*headline(look, asked, f"none of {_spans(len(look.domain))} matches{after}{hint}")]
    nearest = _nearest(look, pattern) if pattern and _is_compound(pattern) else []
    if nearest:
        lines += ["", "nearest:"]
        for _, verdicts in nearest:
            lines += candidate_lines(verdicts, look.style, _VERDICTS // len(nearest))
    notes = {position: f"nearest {number}" for number, (position, _) in enumerate(nearest, 1)} if nearest else {}
    yield from _with_tree(look, lines, pattern, notes if len(nearest) > 1 else dict.fromkeys(notes, "nearest"))


def many(look: Look, verb: str, pattern: SpanPattern | None, found: Sequence[int]) -> Iterator[str]:
    """Several spans match, and only one should."""
    lines = [*headline(look, _asked(look, verb, pattern), f"{len(found):,} spans match, not one")]
    telling = _telling(look.forest, found)
    if telling:
        lines += ["", clip(f"they differ in {telling}", look.style.room)]
    notes = {position: f"match {number}" for number, position in enumerate(found, 1)}
    yield from _with_tree(look, lines, pattern, notes)


def unwanted(look: Look, verb: str, pattern: SpanPattern | None, found: Sequence[int]) -> Iterator[str]:
    """Spans match, and none should."""
    matches = "1 span matches" if len(found) == 1 else f"{len(found):,} spans match"
    lines = [*headline(look, _asked(look, verb, pattern), f"{matches}, and none should")]
    yield from _with_tree(look, lines, pattern, dict.fromkeys(found if pattern else (), "match"))


def still_open(look: Look, waited: float) -> Iterator[str]:
    """Spans did not end."""
    names = [look.forest.spans[place].name for place in look.domain if look.forest.spans[place].is_open]
    verb = "is" if len(names) == 1 else "are"
    listed = clip(", ".join(map(repr, names)), look.style.room if look.style.whole else 120)
    asked = f"{look.subject}.settle()"
    lines = [*headline(look, asked, f"{_spans(len(names))} {verb} still open after {waited:g}s: {listed}")]
    yield from _with_tree(look, lines, None, {})


def in_order(
    look: Look, patterns: Sequence[SpanPattern], found: Sequence[int], verb: str = "in_order"
) -> Iterator[str]:
    """The spans began in another order; `found` are those up to the one that did not come."""
    asked = f"{look.subject}.{verb}({', '.join(_short(pattern) for pattern in patterns)})"
    missing = patterns[len(found)]
    if not look.domain:
        yield from _nothing(look, asked, "", missing)
        return
    elsewhere = find(missing, look.forest, look.positions)
    before = f" after {_short(patterns[len(found) - 1])}" if found and elsewhere else ""
    hint = _still_open(look, missing, found[-1] if found else -1) or ("" if elsewhere else guess(look, missing))
    came = "ended" if _waits(missing) else "began"
    lines = [*headline(look, asked, f"no {_short(missing)} {came}{before}{hint}"), ""]
    steps = range(len(patterns))
    if len(steps) > _STEPS and not look.style.whole:
        start = min(max(len(found) - _STEPS // 2, 0), len(patterns) - _STEPS)
        steps = range(start, start + _STEPS)
    if steps.start:
        lines.append(f"    {look.style.more(f'{steps.start:,} before them')}")
    lines += [_step(look, patterns[number], number, found, elsewhere) for number in steps]
    if left := len(patterns) - steps.stop:
        lines.append(f"    {look.style.more(f'{left:,} after them')}")
    notes = {position: f"step {number}" for number, position in enumerate(found, 1)}
    notes.update({position: f"step {len(found) + 1}" for position in elsewhere if position not in notes})
    yield from _with_tree(look, lines, missing, notes)


def _step(look: Look, pattern: SpanPattern, number: int, found: Sequence[int], elsewhere: Sequence[int]) -> str:
    """One step of an order: when it began, or that it did not come."""
    origin = look.forest.spans[look.domain[0]].start
    good, bad = look.style.marks
    mark, text = " ", ""
    if number < len(found):
        mark, text = look.style.paint(good, "green"), _at(look.forest, found[number], origin)
    elif number == len(found):
        mark = look.style.paint(bad, "red")
        text = f"{_at(look.forest, elsewhere[-1], origin)}, not later" if elsewhere else "did not come"
    asked = pattern.asked() if len(_shown(pattern.conditions)) == 1 else repr(pattern)
    room = max(look.style.room - len(text) - len(str(number)) - 8, 20)
    return f"  {mark} {number + 1}. {clip(asked, room if look.style.whole else min(room, SHOWN))} {text}".rstrip()


def _at(forest: Forest, position: int, origin: int) -> str:
    return f"began at +{seconds((forest.spans[position].start - origin) / 1e9)}"


def _asked(look: Look, verb: str, pattern: SpanPattern | None) -> str:
    return f"{look.subject}.{verb}({pattern.asked() if pattern else ''})"


def headline(look: Look, asked: str, answer: str) -> Iterator[str]:
    """The question and the answer, on one line if they fit; else each on one or two."""
    style = look.style
    if columns(asked) + columns(answer) + 2 <= style.room - style.first:
        yield f"{asked}: {answer}"
    else:
        yield from _wrapped(f"{asked}:", style, "", style.first)
        yield from _wrapped(answer, look.style, "  ")


def _wrapped(text: str, style: Style, lead: str, before: int = 0, hang: str = "    ") -> Iterator[str]:
    """On two lines or, where words are long, three; what is longer has its middle left out."""
    line = one_line(text) if style.whole else clip(text, 2 * (style.room - len(lead)) - 14)
    under = lead + hang
    while columns(line) > (room := style.room - len(lead) - before):
        first = begin(line, room)
        words = first.rpartition(" ")[0]
        first = words if columns(words) * 2 > room else first
        yield lead + first
        line, lead, before = line[len(first) :].lstrip(" "), under, 0
    yield lead + line


def _short(pattern: SpanPattern) -> str:
    return clip(pattern.asked() if len(_shown(pattern.conditions)) == 1 else repr(pattern), 72)


def _spans(count: int) -> str:
    return "1 span" if count == 1 else f"{count:,} spans"


def _nothing(look: Look, asked: str, after: str, pattern: SpanPattern | None) -> Iterator[str]:
    if len(look.forest) and look.positions is not None:
        hint = "" if pattern is None else guess(look, pattern)
        yield from headline(look, asked, f"there are none{after}{hint}")
        # Where nothing began in the scope: what began elsewhere.
        around = look if look.roots else replace(look, roots=None)
        yield from _tree(around, None, {}, _SCREEN - 3)
        return
    lines = [*headline(look, asked, f"nothing was captured{after}"), *_reasons(look)]
    if look.drawn is not None:
        look.drawn.note(look.forest, [], lines)
    yield from lines


def _reasons(look: Look) -> Iterator[str]:
    reasons = list(look.why())
    if reasons:
        yield ""
        yield "why:"
        for reason in reasons[: None if look.style.whole else _REASONS]:
            first, *others = _wrapped(reason, look.style, "    ", hang="")
            yield f"  - {first[4:]}"
            yield from others
        if len(reasons) > _REASONS and not look.style.whole:
            yield f"    {look.style.more(f'{len(reasons) - _REASONS:,} more')}"


def _with_tree(
    look: Look, lines: Sequence[str], pattern: SpanPattern | None, notes: Mapping[int, str]
) -> Iterator[str]:
    """The lines, and what was captured in as many as are left of a screen."""
    yield from lines
    yield from _tree(look, pattern, notes, max(_SCREEN - len(lines) - 2, 8))


def _tree(look: Look, pattern: SpanPattern | None, notes: Mapping[int, str], budget: int) -> Iterator[str]:
    attributes = pattern.attributes if pattern else ()
    if len(look.forest) > budget:
        budget = min(budget, _GLIMPSE)
    yield from captured(look, look.roots, attributes, notes, budget)


def captured(
    look: Look, roots: Sequence[int] | None, attributes: Sequence[str], notes: Mapping[int, str], budget: int
) -> Iterator[str]:
    """The trees below `roots` (all, where it is None), and that they are shown here."""
    style = replace(look.style, width=look.style.width - 2)
    drawn = tree_lines(look.forest, style=style, roots=roots, attributes=attributes, notes=notes, budget=budget)
    lines = ["captured:", *(f"  {line}" for line in drawn)]
    if look.drawn is not None:
        look.drawn.note(look.forest, look.forest.roots if roots is None else roots, lines)
    yield ""
    yield from lines


def guess(look: Look, pattern: SpanPattern) -> str:
    """A hint where the mistake shows: a name or an attribute that is nearly right, or a span that is elsewhere."""
    if still_open := _still_open(look, pattern):
        return still_open
    for condition in pattern.conditions:
        if isinstance(condition, Name) and not find(SpanPattern([condition]), look.forest, look.positions):
            if look.positions is not None and find(pattern, look.forest):
                return "; it was captured elsewhere"
            return did_you_mean(condition.text, [look.forest.spans[place].name for place in look.domain])
    for key in pattern.attributes:
        if not look.forest.having(key):
            keys = {key for place in islice(look.domain, _SCANNED) for key in look.forest.spans[place].attributes}
            return f"; no span has the attribute {key!r}{did_you_mean(key, sorted(keys)).replace(';', ',', 1)}"
    return ""


def _waits(pattern: SpanPattern) -> bool:
    return any(isinstance(condition, Ended) for condition in pattern.conditions)


def _still_open(look: Look, pattern: SpanPattern, after: int = -1) -> str:
    """That a span is all that a question which waits asked for, except that it hasn't ended."""
    if not _waits(pattern):
        return ""
    others = [condition for condition in pattern.conditions if not isinstance(condition, Ended)]
    places = (place for place in find(SpanPattern(others), look.forest, look.positions) if place > after)
    place = next(places, None)
    return "" if place is None else f"; {look.forest.spans[place].name!r} is still open"


def did_you_mean(wanted: str, names: Sequence[str]) -> str:
    """Which of the names is most likely meant, if one is."""
    different = {name.lower(): name for name in names}
    parts = [part for part in wanted.lower().split("*") if part.strip()]
    alike = [name for name in different if parts and all(part in name for part in parts)]
    close = alike or get_close_matches(wanted.lower(), list(different)[:_SCANNED], n=1, cutoff=0.7)
    return f"; did you mean {different[close[0]]!r}?" if close else ""


def _nearest(look: Look, pattern: SpanPattern) -> list[tuple[int, tuple[Verdict, ...]]]:
    """The spans that lack least, if they have anything of what was asked."""
    scored: list[tuple[float, int, tuple[Verdict, ...]]] = []
    alternatives = list(_alternatives(pattern))
    for position in _scanned(look, pattern):
        score, verdicts = max((_judged(each, position, look.forest) for each in alternatives), key=itemgetter(0))
        if score > 0:
            scored.append((-score, position, verdicts))
    scored.sort(key=lambda entry: entry[:2])
    best = [entry for entry in scored if entry[0] <= scored[0][0] * 0.6]
    return [(position, verdicts) for _, position, verdicts in best[:_NEAREST]]


def _is_compound(pattern: SpanPattern) -> bool:
    """Whether a span can be some of what was asked, and not the rest."""
    return any(len(_shown(each)) > 1 for each in _alternatives(pattern))


def _alternatives(pattern: SpanPattern) -> Iterator[Sequence[Condition]]:
    """The conditions of each of the patterns, where it is one of several; else its own."""
    either = _shown(pattern.conditions)
    if len(either) == 1 and isinstance(either[0], Either):
        waits = [condition for condition in pattern.conditions if condition is not either[0]]
        for option in either[0].options:
            yield from ([*each, *waits] for each in _alternatives(option))
    else:
        yield pattern.conditions


def _judged(conditions: Sequence[Condition], position: int, forest: Forest) -> tuple[float, tuple[Verdict, ...]]:
    verdicts = tuple(_verdict(condition, position, forest) for condition in conditions)
    return sum(_score(verdict) for verdict in verdicts), verdicts


def _verdict(condition: Condition, position: int, forest: Forest) -> Verdict:
    try:
        holds = condition.holds(position, forest)
    except Exception:  # noqa: BLE001 # a predicate of the user, here called with spans that the question never reached
        holds = False
    return Verdict(condition, holds, position, forest)


def _shown(conditions: Sequence[Condition]) -> list[Condition]:
    return [condition for condition in conditions if condition.asked()]


def _scanned(look: Look, pattern: SpanPattern) -> Sequence[int]:
    """All the spans asked, or where they are very many, those that an index finds for one condition."""
    if len(look.domain) <= _SCANNED:
        return look.domain
    places: dict[int, None] = {}
    for condition in pattern.conditions:
        candidates = condition.candidates(look.forest) or ()
        places.update(dict.fromkeys(candidates[: _SCANNED // 4]))
    inside = set(look.domain)
    return sorted(place for place in places if place in inside)[:_SCANNED]


def _score(verdict: Verdict) -> float:
    if verdict.label == "ended":
        return 0.0
    if verdict.label != "name":
        return 1.0 if verdict.matched else 0.0
    if verdict.matched:
        return 2.0
    likeness = SequenceMatcher(None, verdict.expected.lower(), verdict.actual.lower()).ratio()
    return likeness if likeness > 0.7 else 0.0  # noqa: PLR2004 # as for "did you mean"


def _telling(forest: Forest, found: Sequence[int]) -> str:
    """An attribute that tells the spans apart, with its values; else the parents, where those do."""
    spans = [forest.spans[position] for position in found[:8]]
    names = [span.name for span in spans]
    if len(set(names)) == len(names):
        return f"name: {clip(', '.join(map(show, names)), 90)}"
    for key in spans[0].attributes:
        values = [show(span.attributes.get(key), 30) for span in spans]
        if len(set(values)) == len(values) and not key.endswith((".id", "messages", "json_schema")):
            return f"{key}: {clip(', '.join(values), 90)}"
    above = [forest.parent(position) for position in found[:8]]
    parents = [forest.spans[position].name for position in above if position is not None]
    if len(set(parents)) == len(found):
        return f"parent: {clip(', '.join(map(show, parents)), 90)}"
    return ""
