from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_ai.telemetry.pattern_search import matches, replaced
from weaver_ai.telemetry.secret_patterns import BASIC, BEARER, FLAG, KEY, KEY_STARTS, QUOTED, SHAPES, SPOKEN

PATTERNS = {
    "key": (KEY, KEY_STARTS),
    "spoken": (SPOKEN, KEY_STARTS),
    "quoted": (QUOTED, ("pass", "identified")),
    "bearer": (BEARER, ("bearer",)),
    "basic": (BASIC, ("basic",)),
    "flag": (FLAG, ("--",)),
    **{starts[0]: (pattern, starts) for starts, pattern in SHAPES},
}
PIECES = [
    *KEY_STARTS,
    *(start for starts, _ in SHAPES for start in starts),
    *(
        "identified by ",
        "bearer",
        "Basic ",
        "--",
        "key",
        "s",
        "tokens",
        "word",
        "Cookie",
        "str",
        "ID",
        "T",
        "AKIA",
        "eyJ",
    ),
    *(
        "_",
        "-",
        " ",
        "=",
        ":",
        "'",
        '"',
        " is ",
        "\\n",
        ".",
        "abcdefgh12345678",
        "ABCDEFGH12345678",
        "dXNlcjpw",
        "x",
        "\u0130",
    ),
]


@pytest.mark.parametrize("name", PATTERNS)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=12))
def test_nothing_is_found_elsewhere_or_missed(name: str, pieces: list[str]) -> None:
    pattern, starts = PATTERNS[name]
    text = "".join(pieces)
    assert [found.span() for found in matches(pattern, starts, text)] == [
        found.span() for found in pattern.finditer(text)
    ]


def test_what_is_found_is_replaced() -> None:
    vowels = re.compile("(?<!x)[ae]b?", re.IGNORECASE)
    assert replaced(vowels, ("a", "e"), "Ab xa be", lambda found: f"<{found[0]}>") == "<Ab> xa b<e>"
    untouched = "bcd"
    assert replaced(vowels, ("a", "e"), untouched, lambda found: "") is untouched
