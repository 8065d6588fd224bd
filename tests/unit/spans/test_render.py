from textwrap import dedent

import pytest

from tests.unit.spans.building import forest, make
from tests.unit.spans.refund import refund
from weaver_ai.spans import Link, Status
from weaver_ai.spans.render import Style, seconds, tree_lines
from weaver_ai.spans.tree import Forest

REFUND = Forest(refund())
ODD = Forest(
    [
        make("publish order", 1, kind="producer", duration=0.25),
        make(
            "consume order",
            2,
            77,
            start=1,
            links=[Link("0af7651916cd43dd8448eb211c80319c", f"{1:016x}")],
            duration=1500,
        ),
        make("GET /orders", 3, 2, start=2, attributes={"server.port": 53211, "url.path": "/orders"}),
        make("late", 4, trace="f" * 32, start=3, links=[Link("e" * 32, "d" * 16)], duration=None),
        make("failed", 5, 4, trace="f" * 32, start=4, status=Status("error", "connect to 127.0.0.1:53211 failed")),
    ]
)


def text(captured, **options):
    return "\n".join(tree_lines(captured, **options))


@pytest.mark.parametrize(
    ("captured", "options", "expected"),
    [
        (
            REFUND,
            {"attributes": ["gen_ai.tool.name"], "notes": {5: "match"}, "style": Style(width=104)},
            """
            workflow support                41ms
            ├── invoke_agent classifier     12ms
            │   └── chat gpt-5               8ms
            └── invoke_agent billing        25ms
                ├── chat gpt-5               8ms
                ├── execute_tool refund      3ms  ERROR CardDeclined: … declined  gen_ai.tool.name='refund'  ← match
                └── chat gpt-5              open
            """,
        ),
        (
            REFUND,
            {"style": Style(ascii=True, width=60)},
            """
            workflow support                41ms
            |-- invoke_agent classifier     12ms
            |   `-- chat gpt-5               8ms
            `-- invoke_agent billing        25ms
                |-- chat gpt-5               8ms
                |-- execute_tool refund      3ms  ERROR CardDecl...eclined
                `-- chat gpt-5              open
            """,
        ),
        (
            REFUND,
            {"roots": [3], "style": Style(stable=True)},
            """
            invoke_agent billing
            ├── chat gpt-5
            ├── execute_tool refund  ERROR CardDeclined: card declined
            └── chat gpt-5  open
            """,
        ),
        (
            REFUND,
            {"budget": 5},
            """
            workflow support                41ms
            ├── invoke_agent billing        25ms
            │   ├── execute_tool refund      3ms  ERROR CardDeclined: card declined
            │   └── … 2 more: chat gpt-5 (2)
            └── … 2 more: invoke_agent classifier, chat gpt-5
            """,
        ),
        (
            REFUND,
            {"budget": 5, "notes": {2: "match"}},
            """
            workflow support                41ms
            ├── invoke_agent classifier     12ms
            │   └── chat gpt-5               8ms  ← match
            └── invoke_agent billing        25ms
                └── … 3 more: chat gpt-5 (2), execute_tool refund
            """,
        ),
        (
            ODD,
            {},
            """
            publish order      250µs
            consume order       1.5s  orphan: its parent was not captured  links to 'publish order'
            └── GET /orders      1ms
            late                open  links to a span not captured
            └── failed           1ms  ERROR connect to 127.0.0.1:53211 failed
            """,
        ),
        (
            ODD,
            {"style": Style(stable=True), "attributes": ["server.port", "url.path"]},
            """
            publish order
            consume order  orphan: its parent was not captured  links to 'publish order'
            └── GET /orders  server.port='<port>'  url.path='/orders'
            late  open  links to a span not captured
            └── failed  ERROR connect to 127.0.0.1:<port> failed
            """,
        ),
        (Forest([]), {}, "\n"),
    ],
)
def test_exact_text(captured, options, expected):
    assert text(captured, **options) == dedent(expected)[1:-1]


def test_colours():
    coloured = text(REFUND, roots=[3], style=Style(colour=True), notes={3: "match"}).splitlines()
    assert coloured[0] == "invoke_agent billing     \x1b[2m   25ms\x1b[0m  \x1b[36m← match\x1b[0m"
    assert coloured[2] == (
        "\x1b[2m├── \x1b[0mexecute_tool refund  \x1b[2m    3ms\x1b[0m  \x1b[31mERROR CardDeclined: card declined\x1b[0m"
    )
    assert coloured[3].endswith("\x1b[33m   open\x1b[0m")


@pytest.mark.parametrize("budget", [1, 2, 3, 5, 8, 13, 40])
@pytest.mark.parametrize("shape", ["wide", "deep", "many roots", "bushy"])
def test_it_stays_within_its_budget(budget, shape):
    parent = {"wide": lambda _: 1, "deep": lambda n: n - 1, "many roots": lambda _: None, "bushy": lambda n: n // 3}[
        shape
    ]
    captured = Forest([make("s", 1), *(make(f"s{n % 7}", n, parent(n) or None, start=n) for n in range(2, 500))])
    lines = list(tree_lines(captured, budget=budget, notes={300: "match"}))
    assert len(lines) <= max(budget, 3)
    assert sum(1 for line in lines if "more:" in line) >= 1
    left_out = sum(int(line.split("… ")[1].split()[0]) for line in lines if "more:" in line)
    assert left_out + sum(1 for line in lines if "more:" not in line) == 499


def test_long_names_and_values_are_clipped_to_the_width():
    captured = Forest([make("n" * 200, 1, attributes={"a.very.long.key": "v" * 200})])
    (line,) = tree_lines(captured, attributes=["a.very.long.key"], style=Style(width=90))
    assert len(line) <= 90
    assert "  …key='vvv" in line


def test_a_deep_trace_needs_no_deep_stack():
    captured = Forest([make("s", n, n - 1 or None, start=n) for n in range(1, 5001)])
    assert len(list(tree_lines(captured, budget=10_000))) == 5000


@pytest.mark.parametrize(
    ("duration", "shown"),
    [
        (None, "open"),
        (0, "0µs"),
        (0.00085, "850µs"),
        (0.0009996, "1ms"),
        (0.0123456, "12.3ms"),
        (0.412, "412ms"),
        (0.9999, "1s"),
        (1.234, "1.23s"),
        (65, "1m 05s"),
    ],
)
def test_seconds(duration, shown):
    assert seconds(duration) == shown


def test_a_forest_of_one_line():
    assert text(forest("root")) == "root      1ms"
