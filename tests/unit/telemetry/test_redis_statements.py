import pytest

from weaver_ai.telemetry.redis_statements import statement_of


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("SET", "name", "value", "EX", 5), "SET name ? ? ?"),
        ((b"get", b"na\xffme"), "get na\ufffdme"),
        (("AUTH", "me", "hunter2"), "AUTH ? ?"),
        (("HELLO", 3, "AUTH", "me", "hunter2"), "HELLO ? ? ? ?"),
        (("CONFIG SET", "requirepass", "hunter2"), "CONFIG SET ? ?"),
        (("EVAL", "return 'hunter2'", 1, "key"), "EVAL ? ? ?"),
        (("UNHEARD.OF", "hunter2"), "UNHEARD.OF ?"),
        (("PING",), "PING"),
    ],
)
def test_a_statement_is_the_command_and_its_key(arguments: tuple[object, ...], expected: str) -> None:
    assert statement_of(arguments) == expected


def test_a_statement_is_bounded() -> None:
    assert len(statement_of(("MSET", *["k" * 100] * 5_000))) == 1_024
