"""What a verb's arguments may be, and what it says of those that may not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

__all__ = ["attributes_of", "known", "one_of"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates


def known(function: str, given: Iterable[str], conditions: Collection[str], positional: Collection[str]) -> None:
    """Refuse a keyword that is no condition: it would be a condition less, which matches more.

    Raises:
        TypeError: with what it may have meant.
    """
    for keyword in given:
        if keyword in conditions:
            continue
        close = get_close_matches(keyword, [*conditions, *positional], n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"attributes go into the mapping: {{{keyword!r}: ...}}"
        raise TypeError(f"{function}() has no condition {keyword!r}; {hint}")


def one_of(function: str, keyword: str, value: object, choices: Collection[str]) -> str:
    """The value, if it is one of the choices.

    Raises:
        ValueError: it is none of them.
    """
    if isinstance(value, str) and value in choices:
        return value
    close = get_close_matches(str(value).lower(), choices, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it is one of {', '.join(choices)}"
    raise ValueError(f"{function}() has no {keyword} {value!r}; {hint}")


def attributes_of(function: str, value: object) -> Mapping[object, object]:
    """The attributes that are asked for; an empty mapping would ask for nothing.

    Raises:
        TypeError: it is no mapping, or empty.
    """
    if not isinstance(value, Mapping) or not value:
        raise TypeError(f"{function}() takes attributes as a mapping with a key at least, not {value!r}")
    return value
