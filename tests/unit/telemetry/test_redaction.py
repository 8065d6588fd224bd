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
LONG = "Zx9" + "kLm4" * 8
SERVICES = [
    "xap" + "p-1-A1-" + LONG,
    "ya2" + "9." + LONG,
    "GOC" + "SPX-" + LONG,
    "np" + "m_" + LONG + "a",
    "pyp" + "i-" + LONG * 2,
    "SG" + "." + LONG + "." + LONG,
    "hv" + "s." + LONG,
    *(f"{prefix}{LONG}" for prefix in ("rk_" + "live_", "whs" + "ec_", "tvl" + "y-", "pp" + "lx-", "nva" + "pi-")),
    *(f"{prefix}{LONG}" for prefix in ("ls" + "v2_", "dck" + "r_pat_", "shp" + "at_", "lin" + "_api_", "h" + "f_")),
]
PEM = "-----BEGIN " + "PRIVATE KEY-----\nMIIB\nabc\n-----END " + "PRIVATE KEY-----"
PGP = PEM.replace("KEY", "KEY BLOCK")

redactor = Redactor()


@pytest.mark.parametrize("secret", [KEY, ANTHROPIC, LOGFIRE, GITHUB, AWS, GOOGLE, SLACK, JWT, PEM, PGP, *SERVICES])
def test_what_looks_like_a_secret_goes_wherever_it_stands(secret: str) -> None:
    assert redactor.text(secret) == REDACTED
    assert redactor.text(f"it was <{secret}>, they said") == f"it was <{REDACTED}>, they said"


@pytest.mark.parametrize("secret", [KEY, ANTHROPIC, LOGFIRE, GITHUB, AWS, GOOGLE, SLACK, JWT, f"Bearer {JWT}"])
@pytest.mark.parametrize(
    ("before", "after"),
    [("\\n", "\\n"), ("\\t", "\\r"), ("\\u003c", "\\u003e"), ("%22", "%22"), ("?q=%3D", "&x")],
    ids=["line", "tab", "unicode", "quoted", "url"],
)
def test_what_looks_like_a_secret_goes_after_an_escape(secret: str, before: str, after: str) -> None:
    shown = redactor.text(f"it was:{before}{secret}{after}")
    assert shown == f"it was:{before}{'Bearer ' if ' ' in secret else ''}{REDACTED}{after}"


def test_what_looks_like_a_secret_goes_from_a_line_of_a_message_in_json() -> None:
    messages = json.dumps([{"role": "user", "content": f"here it is:\n{KEY}\nthanks"}])
    assert json.loads(redactor.value("gen_ai.input.messages", messages))[0]["content"] == (
        f"here it is:\n{REDACTED}\nthanks"
    )


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
        ("Cookie: theme=dark; session=abc", "Cookie: [redacted]"),
        (
            'Set-Cookie: a="x y"; Path=/, b=c; Expires=Wed, 21 Oct 2026 07:28:00 GMT\nHost: h',
            "Set-Cookie: [redacted]\nHost: h",
        ),
        ("['Cookie: a=b; c=d', 'Accept: x']", "['Cookie: [redacted]', 'Accept: x']"),
        ("b'Cookie: a=b; c=d\\r\\nHost: h'", "b'Cookie: [redacted]\\r\\nHost: h'"),
        ("[(b'cookie', b'a=b; c=d'), (b'host', b'h')]", "[(b'cookie', b'[redacted]'), (b'host', b'h')]"),
        ("password=123456789, n=1", "password=[redacted], n=1"),
        ('{"password": 1234, trunc', '{"password": "[redacted]", trunc'),
        ("{'secret': ['a', 'b]c'], 'n': 1}", "{'secret': '[redacted]', 'n': 1}"),
        ("{'credentials': {'user': 'u', 'value': ['x']}}", "{'credentials': '[redacted]'}"),
        ("password=SecretStr('abc'), n=1", "password=[redacted], n=1"),
        ("api_key=(x", "api_key=[redacted]"),
        ("{\\'password\\': \\'x\\'}", "{\\'password\\': \\'[redacted]\\'}"),
        ("<db:password>abc</db:password>", "<db:password>[redacted]</db:password>"),
        ("run --db-password hunter2 --user me", "run --db-password [redacted] --user me"),
        ("run --api-key 'a b' x", "run --api-key [redacted] x"),
        ("['run', '--password', 'hunter2']", "['run', '--password', '[redacted]']"),
        ("token: password=abc", "token: password=[redacted]"),
        ("jwt: abc otp=123456 totp: 9", "jwt: [redacted] otp=[redacted] totp: [redacted]"),
        ("signature=abc; session_id=abcdef", "signature=[redacted]; session_id=[redacted]"),
        ("connection_string='Server=h;Pwd=x'", "connection_string='[redacted]'"),
        ("sent Basic dXNlcjpwYXNz to h", "sent Basic [redacted] to h"),
        ("GET /v1?key=abc&q=1", "GET /v1?key=[redacted]&q=1"),
        (
            "https://h/o?X-Amz-Credential=a%2Fb&X-Amz-Signature=0f&X-Amz-Date=1",
            "https://h/o?X-Amz-Credential=[redacted]&X-Amz-Signature=[redacted]&X-Amz-Date=1",
        ),
        ("https://b.core/x?sv=1&sig=a%3D", "https://b.core/x?sv=1&sig=[redacted]"),
        ("{'api_key': 'zzz', 'n': 1}", "{'api_key': '[redacted]', 'n': 1}"),
        ('{\\"password\\":\\"x y\\"}', '{\\"password\\":\\"[redacted]\\"}'),
        ("redis://:pw@h:1/0", "redis://:[redacted]@h:1/0"),
        ("at postgres://me:p%40x@h/db now", "at postgres://me:[redacted]@h/db now"),
        ("redis://:p@ss@h:1/0", "redis://:[redacted]@h:1/0"),
        ("redis://:p@s/s@h:1/0", "redis://:[redacted]@h:1/0"),
        ("redis://u:a/b?c#d@h/0", "redis://u:[redacted]@h/0"),
        ("redis://:12/34@h/0", "redis://:[redacted]@h/0"),
        ("https://u:a/b@h/x", "https://u:[redacted]@h/x"),
        ("https://u:a@b@h/x/@scope", "https://u:[redacted]@h/x/@scope"),
        ("https://abc@h/path", "https://[redacted]@h/path"),
        ("git+https://abc:x-oauth-basic@h/p.git@v1", "git+https://abc:[redacted]@h/p.git@v1"),
        (f"https://{'ab1' * 8}:x@h/", "https://[redacted]:[redacted]@h/"),
        ("redis://a:b@h,redis://c:d@i", "redis://a:[redacted]@h,redis://c:[redacted]@i"),
        ('{"url":"http://a:b@h","to":"x@y"}', '{"url":"http://a:[redacted]@h","to":"x@y"}'),
        ("https://h/?next=https://u:p@i/", "https://h/?next=https://u:[redacted]@i/"),
        ("SECRET_KEY='x'", "SECRET_KEY='[redacted]'"),
        ("stripe_secret_key: x secretKey=y", "stripe_secret_key: [redacted] secretKey=[redacted]"),
        (
            "password1=a&password_2=b&passwordConfirm=c",
            "password1=[redacted]&password_2=[redacted]&passwordConfirm=[redacted]",
        ),
        ("password_hash: x, PGPASSWORD=y", "password_hash: [redacted], PGPASSWORD=[redacted]"),
        ("user[password]=x&a=b", "user[password]=[redacted]&a=b"),
        ('os.environ["API_KEY"] = "x"', 'os.environ["API_KEY"] = "[redacted]"'),
        ("password := x, 'secret' => 'y'", "password := [redacted], 'secret' => '[redacted]'"),
        ("run:\\n--password x", "run:\\n--password [redacted]"),
        ("DB_PASS=x smtpPass: y, user_pass=z", "DB_PASS=[redacted] smtpPass: [redacted], user_pass=[redacted]"),
        (
            "AZURE_OPENAI_KEY=x, AccountKey=y==;master_key: z",
            "AZURE_OPENAI_KEY=[redacted], AccountKey=[redacted];master_key: [redacted]",
        ),
        ("Ocp-Apim-Subscription-Key: x", "Ocp-Apim-Subscription-Key: [redacted]"),
        ("passcode: 4711 creds=x", "passcode: [redacted] creds=[redacted]"),
        ("next=%2F%3Fpassword%3Dx%26a, token\\u003dabc", "next=%2F%3Fpassword%3D[redacted], token\\u003d[redacted]"),
        ("{%22token%22%3A%22abc%22}", "{%22token%22%3A[redacted]}"),
        ("password: |\n  x\nuser: me", "password: |\n  [redacted]\nuser: me"),
        (
            "Authorization=Bearer%20abc123, bearer=abc123 bearer: abc123",
            "Authorization=[redacted], bearer=[redacted] bearer: [redacted]",
        ),
        ("sent Bearer+abc123 to", "sent Bearer+[redacted] to"),
        ("CREATE USER me WITH PASSWORD 'x'", "CREATE USER me WITH PASSWORD '[redacted]'"),
        ('ALTER USER me IDENTIFIED BY "x"', 'ALTER USER me IDENTIFIED BY "[redacted]"'),
        ("the password is 'x y' or 'xy'", "the password is 'x y' or 'xy'"),
        ("the password is 'xy', the api key is abcd1234.", "the password is '[redacted]', the api key is [redacted]"),
        ("curl -u me:x -H 'a: b' https://h", "curl -u me:[redacted] -H 'a: b' https://h"),
        ("https://h/?user=me&pass=x", "https://h/?user=me&pass=[redacted]"),
        (f"https://h/cb?state=1&code={'a1' * 8}", "https://h/cb?state=1&code=[redacted]"),
        (f"https://hooks.slack.com/services/T0/B0/{'a1' * 8} failed", "https://[redacted] failed"),
    ],
)
def test_values_of_secret_keys_go_from_text(text: str, expected: str) -> None:
    assert redactor.text(text) == expected
    assert redactor.text(expected) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Command # 2 (HSET u password hunter2) of pipeline caused error: ('WRONGTYPE',)",
            "Command # 2 (HSET ...) of pipeline caused error: ('WRONGTYPE',)",
        ),
        (
            "unknown command 'X', with args beginning with: 'hunter2' 'b'",
            "unknown command 'X', with args beginning with: ...",
        ),
    ],
)
def test_arguments_of_a_redis_command_that_failed_go(text: str, expected: str) -> None:
    assert redactor.text(text) == expected
    assert redactor.text(expected) == expected


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
        "http://h:8080/users/a@b",
        "http://[::1]:80/a@b",
        "ssh://git@github.com/x",
        "postgres://user@h/db",
        "https://medium.com/@me",
        "Basic configuration is done",
        "cookies: 5, secrets: 3, token=12",
        "bad cookie: ",
        "session.id=abc",
        "the laptop: new",
        "signature: f(x)",
        "password: None",
        "password=()",
        "git log --password",
        "?monkey=1&hockey=2",
        "?code=404&q=1",
        'secrets "db-login" not found',
        "the password is required",
        "the token is invalid, the secret was rotated",
        "Unexpected token '<', \"<!DOCTYPE \"... is not valid JSON",
        "cache_key=a, sort_key: b, object_key=c/d, bypass=x, first_pass=y",
        "npm_config_registry xai-orchestrator-configuration hf_transfer_enabled",
        "sacred: text, credit: 5",
        '{"required": ["user", "password", "email"]}',
        '{"name":"password","type":"string"}',
        "curl -u is an option",
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
        "jwt",
        "user.otp",
        "signature",
        "auth_header",
        "private_key_pem",
        "password_hash",
        "SECRET_KEY",
        "stripe.secret_key",
        "secretKey",
        "password2",
        "password_confirmation",
        "api_key_2",
        "PGPASSWORD",
        "session_id",
        "sessionId",
        "http.request.header.mcp-session-id",
        "connection_string",
        "redis.search.query",
        "redis.search.xdoc_1.name",
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
        "mcp.session.id",
        "laptop",
        "redis.search.total",
        "http.route",
    ],
)
def test_keys_that_do_not(key: str) -> None:
    assert not is_secret_key(key)
    assert redactor.value(key, "anything") == "anything"


@pytest.mark.parametrize(
    ("key", "value", "stays"),
    [
        ("password", 1234, False),
        ("otp", 2.5, False),
        ("password", True, True),
        ("password", None, True),
        ("passwords", 3, True),
        ("token", 12, True),
        ("token", 123456789, False),
        ("session_id", 42, True),
        ("max_tokens", 123456789, True),
    ],
)
def test_a_number_is_a_secret_where_it_counts_nothing(key: str, value: Any, stays: bool) -> None:
    assert redactor.value(key, value) == (value if stays else REDACTED)
    assert redactor.value("body", json.dumps({key: value})) == (
        json.dumps({key: value}) if stays else f'{{"{key}":"{REDACTED}"}}'
    )


@pytest.mark.parametrize(
    "key",
    [
        *(
            "password",
            "passwd",
            "passphrase",
            "PWD",
            "secret",
            "api_key",
            "private key",
            "access-key-id",
            "credentials",
        ),
        *(
            "cookie",
            "session key",
            "session_id",
            "session-id",
            "sessionid",
            "signing_key",
            "encryption_key",
            "signature",
        ),
        *("connection_string", "connection-str", "connection string", "connectionstring", "conn_str", "ConnStr"),
        *("conn-str", "conn string", "jwt", "otp", "totp", "token", "dsn", "access_tokens", "bearer-tokens"),
    ],
)
def test_no_key_is_passed_over_before_it_is_looked_for(key: str) -> None:
    assert redactor.text(f"x {key}=abcd1234") == f"x {key}=[redacted]"
    assert redactor.value("body", json.dumps({key: "abcd1234"})) == f'{{"{key}":"[redacted]"}}'


def test_json_in_an_attribute_is_read() -> None:
    text = json.dumps({"a": [{"password": ["x", "y"], "max_tokens": 5}], "inner": json.dumps({"api_key": "z"})})
    assert redactor.value("body", text) == (
        '{"a":[{"password":["[redacted]","[redacted]"],"max_tokens":5}],"inner":"{\\"api_key\\":\\"[redacted]\\"}"}'
    )


def test_clean_json_is_not_rewritten() -> None:
    text = '{ "tokens" :  {"input_tokens":1},\n "keyboard": "x" }'
    assert redactor.value("body", text) is text


@pytest.mark.parametrize(("name", "of"), [("name", "value"), ("key", "value"), ("Key", "Value")])
def test_a_value_beside_the_name_of_a_secret(name: str, of: str) -> None:
    pairs = [{name: "X-Api-Key", of: "abc"}, {name: "retries", of: "3"}, {name: "password", of: None}]
    shown = [{name: "X-Api-Key", of: REDACTED}, *pairs[1:]]
    assert json.loads(redactor.value("body", json.dumps(pairs))) == shown
    assert redactor.text(f"sent {json.dumps(pairs)}") == f"sent {json.dumps(shown)}"


def test_a_key_that_is_a_secret_goes() -> None:
    assert redactor.attributes({KEY: 1, "n": 2}) == {REDACTED: 1, "n": 2}
    assert json.loads(redactor.value("body", json.dumps({KEY: 1, "n": {f"for {KEY}": 2}}))) == (
        {REDACTED: 1, "n": {f"for {REDACTED}": 2}}
    )


@pytest.mark.parametrize(
    ("text", "shown"), [("a\ud800", "a\ufffd"), ("\ud83d\ude00", "\U0001f600"), ("\udfffé", "\ufffdé")]
)
def test_half_a_surrogate_becomes_what_utf_8_can_hold(text: str, shown: str) -> None:
    assert redactor.text(text) == redactor.value("x", text) == shown
    assert redactor.attributes({"list": [text, "b"], text: 1}) == {"list": [shown, "b"], shown: 1}


def test_more_short_texts_than_are_remembered() -> None:
    fresh = Redactor()
    for at in range(5_000):
        assert fresh.text(f"text {at}") == f"text {at}"
    assert fresh.text(KEY) == fresh.text(KEY) == REDACTED


def test_json_that_is_none_is_redacted_as_text() -> None:
    assert redactor.value("body", '{"password": "abc", trunc') == '{"password": "[redacted]", trunc'


def test_mappings_sequences_and_bytes() -> None:
    assert redactor.value("body", {"password": "x", "list": ["token=abc", 1]}) == {
        "password": REDACTED,
        "list": ["token=[redacted]", 1],
    }
    assert redactor.value("x", ("a", KEY)) == ("a", REDACTED)
    assert redactor.value("x", b"password=abc") == b"password=[redacted]"
    arguments = ("run", "--password", "hunter2", "--verbose", "x")
    assert redactor.value("process.command_args", arguments) == ("run", "--password", REDACTED, "--verbose", "x")


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
        "://a:" * 50_000,
        "://a:" * 50_000 + "@",
        "://a:/" * 40_000 + "@",
        "password=[" * 20_000,
        "password=('" * 20_000,
        "password=b'\\'" * 15_000,
        "cookie: a=" * 20_000,
        'cookie: a="' * 20_000,
        "--password " * 20_000,
        "--" + "a-" * 100_000,
        "<a-" * 60_000,
        "?key=" * 40_000,
        "basic abcd" * 20_000,
        "Command # 1 (" * 20_000 + "of pipeline caused",
        "password is " * 20_000,
        "password '" * 20_000,
        "token is 1" * 20_000,
        "curl -u a" * 20_000,
        "SG.a" * 50_000,
        "bearer:" * 30_000,
        "user_pass" * 20_000,
    ],
    ids=lambda text: text[:12],
)
def test_hostile_text_takes_no_time(text: str) -> None:
    begun = time.process_time()
    redactor.value("x", text)
    assert time.process_time() - begun < 2.0
