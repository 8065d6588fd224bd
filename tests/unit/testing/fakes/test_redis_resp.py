import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_ai.testing.fakes.redis.resp import Commands, ProtocolError, Replies, encode, error, pack

COMMANDS = st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=5), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.binary(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=8), inner, max_size=3),
    max_leaves=12,
)


def fed(parser, data, sizes):
    """Everything that comes out when the data comes in pieces of these sizes, over and over."""
    found, at, turn = [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        found += parser.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    return found


@given(COMMANDS, st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_commands_come_out_as_they_went_in_however_they_are_cut(commands, sizes):
    assert fed(Commands(), b"".join(map(pack, commands)), sizes) == commands


@given(st.lists(VALUES, max_size=5), st.sampled_from([2, 3]), st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_replies_are_cut_where_they_end(values, protocol, sizes):
    replies = [b"".join(encode(value, protocol)) for value in values]
    assert fed(Replies(), b"".join(replies), sizes) == replies


def test_an_inline_command_is_one_too():
    assert list(Commands().feed(b"PING\r\n\r\nSET a 1\r\n")) == [[b"PING"], [b"SET", b"a", b"1"]]


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"*1\r\n+PING\r\n", "expected '$', got b'+'"), (b"*x\r\n", "expected a number, got b'x'")],
)
def test_what_no_client_sends_is_refused(data, message):
    with pytest.raises(ProtocolError) as refused:
        list(Commands().feed(data))
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("value", "two", "three"),
    [
        (None, b"$-1\r\n", b"_\r\n"),
        (True, b":1\r\n", b"#t\r\n"),
        (False, b":0\r\n", b"#f\r\n"),
        (7, b":7\r\n", b":7\r\n"),
        (1.1, b"$3\r\n1.1\r\n", b",1.1\r\n"),
        (3.0, b"$1\r\n3\r\n", b",3\r\n"),
        (float("-inf"), b"$4\r\n-inf\r\n", b",-inf\r\n"),
        (b"\x00\r\n", b"$3\r\n\x00\r\n\r\n", b"$3\r\n\x00\r\n\r\n"),
        ({b"a": 1}, b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
        ({b"a"}, b"*1\r\n$1\r\na\r\n", b"~1\r\n$1\r\na\r\n"),
        ([], b"*0\r\n", b"*0\r\n"),
    ],
)
def test_a_value_on_the_wire(value, two, three):
    assert (b"".join(encode(value, 2)), b"".join(encode(value, 3))) == (two, three)


def test_a_push_is_one_in_resp3_only():
    assert next(encode([1], 3, push=True)) == b">1\r\n"
    assert next(encode([1], 2, push=True)) == b"*1\r\n"


def test_replies_of_every_kind_end_where_they_end():
    kinds = [b"+OK\r\n", b"-ERR no\r\n", b":1\r\n", b"$-1\r\n", b"*-1\r\n", b"(123\r\n", b"=5\r\ntxt:a\r\n"]
    attributed = b"|1\r\n+key\r\n+value\r\n*1\r\n:1\r\n"
    assert list(Replies().feed(b"".join([*kinds, attributed]))) == [*kinds, attributed]


def test_an_error_is_one_line():
    assert error("ERR two\r\nlines") == b"-ERR two  lines\r\n"


def test_what_no_reply_can_hold_is_refused():
    with pytest.raises(TypeError, match="no reply can hold a object"):
        list(encode(object(), 3))
