"""Expected values: what an attribute is compared with, and how values are shown."""

from __future__ import annotations

import functools
import inspect
import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import PurePath
from typing import Final, Literal, TypeGuard, final

from weaver_ai.spans.matching import assign

__all__ = [
    "MISSING",
    "SHOWN",
    "absent",
    "begin",
    "clip",
    "columns",
    "contains",
    "decode",
    "matches",
    "one_line",
    "show",
    "where_it_differs",
]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates

SHOWN: Final = 72
"""Columns of a value that a message has room for."""
_INSIDE: Final = 30
"""Columns of a part of one."""


class _Sentinel(Enum):
    ABSENT = "absent"
    MISSING = "missing"

    def __repr__(self) -> str:
        return self.value


absent: Final[Literal[_Sentinel.ABSENT]] = _Sentinel.ABSENT
"""Expected of an attribute: the span doesn't have it."""

MISSING: Final[Literal[_Sentinel.MISSING]] = _Sentinel.MISSING
"""The value of an attribute that isn't there."""


@final
class contains:  # noqa: N801 # reads as a verb in an expectation
    """Matches a value that contains this one; JSON text is decoded first, at every level.

    A mapping is contained when each of its keys is there and its value matches; what else is there
    doesn't matter. A list is contained when its items match distinct items, in any order. A string is
    contained in a string as a part of it, and in a list as an item; inside a mapping or list it must
    be equal. The values inside may be anything that an attribute can be compared with.

    Example:
        >>> matches(contains({"order": 7}), '{"order": 7, "reason": "late"}')
        True
    """

    def __init__(self, value: object) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"contains({show(self.value, limit=1000)})"


def matches(expected: object, actual: object) -> bool:
    """Whether `actual` (`MISSING` when there is none) is as expected.

    Raises:
        Exception: whatever a predicate of the user raises, with a note that names the value.
    """
    if type(expected) is str:  # by far the most frequent, and no other rule is about it
        return expected == actual
    if expected is absent or expected is ... or actual is MISSING:
        return (expected is absent) is (actual is MISSING)
    if isinstance(expected, contains):
        return _contained(expected.value, actual)
    if isinstance(expected, re.Pattern):
        return isinstance(actual, str) and expected.search(actual) is not None
    if _is_predicate(expected):
        return _ask(expected, actual)
    return _equal(expected, actual)


def _is_predicate(expected: object) -> TypeGuard[Callable[[object], object]]:
    """A function, or an object that can be called and doesn't define what it is equal to (dirty-equals does)."""
    if isinstance(expected, str | int | float):
        return False
    if inspect.isroutine(expected) or isinstance(expected, functools.partial):
        return True
    return callable(expected) and not isinstance(expected, type) and type(expected).__eq__ is object.__eq__


def _ask(predicate: Callable[[object], object], actual: object) -> bool:
    try:
        return bool(predicate(actual))
    except Exception as error:  # the test's own function may raise anything; it only gets a note
        error.add_note(f"raised by {show(predicate)}, called with {show(actual)}")
        raise


def _equal(expected: object, actual: object) -> bool:
    if bool(expected == actual):
        return not (_mixes_bool(expected, actual) or _mixes_bool(actual, expected))
    if isinstance(actual, tuple):
        return bool(expected == list(actual))
    if isinstance(actual, str) and isinstance(expected, Mapping | list):
        return bool(expected == decode(actual))
    return False


def _mixes_bool(one: object, other: object) -> bool:
    return isinstance(one, bool) and type(other) in (int, float)


def decode(value: object) -> object:
    """The value that JSON text stands for; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        decoded: object = json.loads(value)
    except ValueError:
        return value
    return decoded


def _contained(expected: object, actual: object) -> bool:
    if isinstance(expected, str):
        if isinstance(actual, str) and expected in actual:
            return True
        return _is_list(decoded := decode(actual)) and expected in decoded
    if isinstance(expected, Mapping) or _is_list(expected):
        return _inside(expected, actual)
    decoded = decode(actual)
    if _is_list(decoded):
        return any(matches(expected, item) for item in decoded)
    return matches(expected, decoded)


def _inside(expected: object, actual: object) -> bool:
    if isinstance(expected, Mapping):
        found = decode(actual)
        return isinstance(found, Mapping) and all(
            _inside(value, found.get(key, MISSING)) for key, value in expected.items()
        )
    if _is_list(expected):
        items = decode(actual)
        if not _is_list(items) or len(items) < len(expected):
            return False
        edges = [[place for place, item in enumerate(items) if _inside(wanted, item)] for wanted in expected]
        return None not in assign(edges, len(items))
    return matches(expected, actual)


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def where_it_differs(expected: object, actual: object) -> tuple[str, str, str] | None:
    """The first place inside `actual` that isn't as expected: where, what is expected there, what is there.

    None at the top, and where both are short enough to be compared by looking at them. Text that is JSON, or that
    is compared with a mapping or a list, is decoded.
    """
    if isinstance(expected, contains):
        inside = _not_contained(expected, actual)
        return inside and _told(*inside)
    if _is_predicate(expected) or max(len(_text(expected)), len(_text(actual))) <= SHOWN or _equal(expected, actual):
        return None
    if isinstance(expected, str) and isinstance(actual, str):
        wanted, found = decode(expected), decode(actual)
        if not (isinstance(wanted, Mapping | list) and isinstance(found, Mapping | list)) or wanted == found:
            return _first_letter(expected, actual)
    else:
        wanted, found = expected, decode(actual)
    path, wanted, found = _first_item(wanted, found)
    return _told(path, wanted, found) if path else None


def _told(path: str, wanted: object, found: object) -> tuple[str, str, str]:
    if isinstance(wanted, str) and isinstance(found, str) and (letter := _first_letter(wanted, found)):
        return f"{path}, {letter[0]}", letter[1], letter[2]
    return path, show(wanted, _INSIDE), show(found, _INSIDE)


def _first_item(wanted: object, found: object) -> tuple[str, object, object]:
    """Down to the first item or key in which two structures differ, as far as both are of one kind."""
    path = ""
    while True:
        if isinstance(wanted, Mapping) and isinstance(found, Mapping):
            pairs = [(str(key), wanted.get(key, absent), found.get(key, MISSING)) for key in {**wanted, **found}]
        elif _is_list(wanted) and _is_list(found):
            most = max(len(wanted), len(found))
            pairs = [(f"[{place}]", _at(wanted, place, absent), _at(found, place, MISSING)) for place in range(most)]
        else:
            return path, wanted, found
        for key, expected, actual in pairs:
            if not _equal(expected, actual):
                path = f"{path}.{key}" if path and not key.startswith("[") else path + key
                wanted, found = expected, actual
                break
        else:
            return "", wanted, found


def _at(items: Sequence[object], place: int, otherwise: object) -> object:
    return items[place] if place < len(items) else otherwise


def _first_letter(expected: str, actual: str) -> tuple[str, str, str] | None:
    """Where two long texts begin to differ, with what stands around."""
    if max(len(expected), len(actual)) <= _INSIDE:
        return None
    place = next((at for at, pair in enumerate(zip(expected, actual, strict=False)) if pair[0] != pair[1]), None)
    if place is None:
        place = min(len(expected), len(actual))
    if place == 0:
        return None
    return f"at character {place + 1}", _around(expected, place), _around(actual, place)


def _around(text: str, place: int) -> str:
    start, end = max(place - 12, 0), place + 14
    return show(f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}", 40)


def _not_contained(expected: contains, actual: object) -> tuple[str, object, object] | None:
    path, wanted, found = "", expected.value, decode(actual)
    while isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key, value in wanted.items():
            inner = found.get(key, MISSING)
            if not _inside(value, inner):
                path, wanted, found = f"{path}.{key}" if path else str(key), value, decode(inner)
                break
        else:
            return None
    return (path, wanted, found) if path else None


def show(value: object, limit: int = SHOWN) -> str:
    """One line, as Python would write it, at most `limit` columns."""
    return clip(_text(value), limit)


def _text(value: object) -> str:
    if value is ...:
        return "anything"
    if isinstance(value, tuple):
        return repr(list(value))
    if isinstance(value, Mapping):
        return repr(dict(value))
    if not _is_predicate(value):
        return repr(value)
    name = getattr(value, "__name__", None) or type(value).__name__
    code = getattr(value, "__code__", None)
    if name == "<lambda>" and code is not None:
        return f"lambda at {PurePath(code.co_filename).name}:{code.co_firstlineno}"
    return f"{name}()"


def clip(text: str, limit: int) -> str:
    """The text on one line, its middle left out where it has more columns than `limit`."""
    line = one_line(text if len(text) <= 2 * limit else text[:limit] + text[-limit:])  # as it is cut, or longer
    if columns(line) <= limit:
        return line
    tail = max((limit - 1) // 3, 0)
    if line.isascii():
        return f"{line[: limit - 1 - tail]}…{line[len(line) - tail :] if tail else ''}"
    return f"{begin(line, limit - 1 - tail)}…{begin(line[::-1], tail)[::-1]}"


def begin(line: str, room: int) -> str:
    """As much of the beginning as has so many columns."""
    for at, letter in enumerate(line):
        room -= _width(letter)
        if room < 0:
            return line[:at]
    return line


def columns(text: str) -> int:
    """How wide a terminal shows it: an ideograph, a full-width form and most emoji take two columns."""
    return len(text) if text.isascii() else sum(map(_width, text))


@functools.lru_cache(maxsize=4096)
def _width(letter: str) -> int:
    if unicodedata.combining(letter) or letter in "\u200d\ufe0f":  # a joiner, and what makes an emoji of a letter
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def one_line(text: str) -> str:
    """The text with spaces for line breaks, and what doesn't print (controls, lone surrogates) escaped as in `repr`."""
    line = text.replace("\n", " ")
    if line.isprintable():
        return line
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)
