import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weaver_ai.telemetry.redaction import REDACTED, Redactor, is_secret_key

KEY = "sk-" + "proj-" + "a1b2c3d4" * 4
ANTHROPIC = "sk-" + "ant-api03-" + "Zy9x8W7v" * 4
LOGFIRE = "pylf_" + "v1_us_" + "Zz9Yy8" * 5
GITHUB = "gh" + "p_" + "a1B2" * 9
AWS = "AKI" + "A" + "ABCDEFGH12345678"
GOOGLE = "AIz" + "a" + "Sy_-09azAZ" * 4
SLACK = "xox" + "b-" + "123456789012-abcdef"
JWT = "ey" + "JhbGciOi" + "." + "eyJzdWIiOi" + "." + "c2lnbmF0dXJl"
PEM = "-----BEGIN " + "PRIVATE KEY-----\nMIIB\nabc\n-----END " + "PRIVATE KEY-----"

redactor = Redactor()


@pytest.mark.parametrize("secret", [KEY, ANTHROPIC, LOGFIRE, GITHUB, AWS, GOOGLE, SLACK, JWT, PEM])
def test_what_looks_like_a_secret_goes_wherever_it_stands(secret: str) -> None:
    assert redactor.text(secret) == REDACTED
    assert redactor.text(f"it was <{secret}>, they said") == f"it was <{REDACTED}>, they said"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer " + KEY, "Authorization: [redacted]"),
        ("authorization=Basic dXNlcjpwYXNz", "authorization=[redacted]"),
        ("{'Authorization': 'Bearer abcdef123456'}", "{'Authorization': '[redacted]'}"),
        ("[(b'authorization', b'Bearer xyz12345')]", "[(b'authorization', b'[redacted]')]"),
        ("Proxy-Authorization: Digest abc==", "Proxy-Authorization: [redacted]"),
        ("sent bearer abc123def", "sent bearer [redacted]"),
        ("X-API-Key: abc123", "X-API-Key: [redacted]"),
        ("password=hunter2&user=x", "password=[redacted]&user=x"),
        ("?secret=s&token=t&page=2", "?secret=[redacted]&token=[redacted]&page=2"),
        ("token: abcd1234", "token: [redacted]"),
        ("OPENAI_API_KEY=foo", "OPENAI_API_KEY=[redacted]"),
        ("Cookie: session=abc; theme=dark", "Cookie: [redacted]; theme=dark"),
        ("{'api_key': 'zzz', 'n': 1}", "{'api_key': '[redacted]', 'n': 1}"),
        ('{\\"password\\":\\"x y\\"}', '{\\"password\\":\\"[redacted]\\"}'),
        ("redis://:pw@h:1/0", "redis://:[redacted]@h:1/0"),
        ("at postgres://me:p%40x@h/db now", "at postgres://me:[redacted]@h/db now"),
    ],
)
def test_values_of_secret_keys_go_from_text(text: str, expected: str) -> None:
    assert redactor.text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens: 100, total_tokens=5",
        "input_tokens=12 output_tokens=7",
        "unexpected token: foo",
        "Bearer authentication is used",
        "the primary key: id",
        "key=abc",
        "secret_name=foo",
        "passwords are bad",
        "sk-learn is a library; see task-runner-1",
        "http://example.org/a@b?q=1",
        "next_page_token=abcd1234",
        "time_to_first_token: 0.25",
    ],
)
def test_innocent_text_stays_the_same_object(text: str) -> None:
    assert redactor.text(text) is text


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "db.password",
        "http.request.header.authorization",
        "http.request.header.x-api-key",
        "apiKey",
        "accessToken",
        "client_secret",
        "refresh_token",
        "OPENAI_API_KEY",
        "auth",
        "set-cookie",
        "credentials",
    ],
)
def test_keys_that_name_a_secret(key: str) -> None:
    assert is_secret_key(key)
    assert redactor.value(key, "anything") == REDACTED
    assert redactor.value(key, ("a", "b")) == (REDACTED, REDACTED)


@pytest.mark.parametrize(
    "key",
    [
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.request.max_tokens",
        "gen_ai.token.type",
        "max_tokens",
        "token_count",
        "next_page_token",
        "weaver.idempotency_key",
        "author",
        "session.id",
        "http.route",
    ],
)
def test_keys_that_do_not(key: str) -> None:
    assert not is_secret_key(key)
    assert redactor.value(key, "anything") == "anything"


@pytest.mark.parametrize("value", [1, 2.5, True, None])
def test_numbers_are_no_secrets(value: Any) -> None:
    assert redactor.value("password", value) is value


def test_json_in_an_attribute_is_read() -> None:
    text = json.dumps({"a": [{"password": ["x", "y"], "max_tokens": 5}], "inner": json.dumps({"api_key": "z"})})
    assert redactor.value("body", text) == (
        '{"a":[{"password":["[redacted]","[redacted]"],"max_tokens":5}],"inner":"{\\"api_key\\":\\"[redacted]\\"}"}'
    )


def test_clean_json_is_not_rewritten() -> None:
    text = '{ "tokens" :  {"input_tokens":1},\n "keyboard": "x" }'
    assert redactor.value("body", text) is text


def test_json_that_is_none_is_redacted_as_text() -> None:
    assert redactor.value("body", '{"password": "abc", trunc') == '{"password": "[redacted]", trunc'


def test_mappings_sequences_and_bytes() -> None:
    assert redactor.value("body", {"password": "x", "list": ["token=abc", 1]}) == {
        "password": REDACTED,
        "list": ["token=[redacted]", 1],
    }
    assert redactor.value("x", ("a", KEY)) == ("a", REDACTED)
    assert redactor.value("x", b"password=abc") == b"password=[redacted]"


def test_known_secrets_go_wherever_they_appear_longest_first() -> None:
    known = Redactor(["correct-horse", "correct-horse-battery", "abc"])
    assert known.text("x correct-horse-battery y correct-horse z abc") == "x [redacted] y [redacted] z abc"


def test_attributes_are_none_when_there_is_nothing_to_do() -> None:
    assert redactor.attributes({"a": "b", "n": ("x",)}) is None
    assert redactor.attributes({"a": "b", "password": "x"}) == {"a": "b", "password": REDACTED}
    assert redactor.attributes(None) is None


@given(st.text())
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redactor.value("x", text)
    assert redactor.value("x", once) == once


@settings(max_examples=50)
@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_json_survives(value: Any) -> None:
    text = json.dumps({"password": "x", "value": value})
    redacted = redactor.value("body", text)
    assert "[redacted]" in redacted


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    [
        "password" * 20_000,
        "password=" * 20_000,
        "a-" * 100_000 + "token",
        "authorization: " * 20_000,
        '{"password":' * 2_000,
        "bearer " * 40_000,
        "://" + "a" * 200_000 + "@",
        "sk-" * 60_000,
        "eyJ" * 60_000,
        "key\\\\" * 40_000,
        "eyJ-" * 50_000,
        'password="' * 20_000,
        "token" + " " * 200_000,
        "-----BEGIN " * 20_000 + "private key",
        "bearer 1" * 20_000,
    ],
    ids=lambda text: text[:12],
)
def test_hostile_text_takes_no_time(text: str) -> None:
    begun = time.process_time()
    redactor.value("x", text)
    assert time.process_time() - begun < 2.0
