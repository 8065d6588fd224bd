from __future__ import annotations

import pytest

from weaver_ai.testing.secrets import secret_keys

# Joined at run time: nothing that looks like a key stands in the repository.
DIGITS = "0123456789" * 4


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gen_ai.request.headers", "sk-" + "proj-" + DIGITS),
        ("note", "use " + "sk-ant-" + "api03-" + DIGITS + " please"),
        ("note", "pylf_" + "v1_us_" + DIGITS),
        ("note", "AKIA" + DIGITS[:16]),
        ("note", "ghp_" + DIGITS),
        ("note", "xoxb-" + DIGITS),
        ("note", ".".join(["eyJ" + DIGITS, "eyJ" + DIGITS, DIGITS])),
        ("note", "-----BEGIN " + "PRIVATE KEY-----"),
        ("http.request.headers", ("accept: */*", "authorization: Bearer " + DIGITS)),
        ("db.connection_string", "redis://:" + "sesame@cache:6379/0"),
        ("url.full", "https://eve:" + "sesame@shop.example/"),
        ("http.request.header.authorization", ("Basic " + DIGITS,)),
        ("api_key", "sesame"),
        ("x-api-key", b"sesame"),
        ("user.password", "sesame"),
        ("auth.refresh_token", "sesame"),
        ("http.request.header.cookie", "id=7"),
    ],
)
def test_a_secret(key: str, value: object) -> None:
    assert list(secret_keys({"innocent": "yes", key: value})) == [key]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gen_ai.usage.input_tokens", 12),
        ("gen_ai.token.type", "input"),
        ("gen_ai.request.max_tokens", "100"),
        ("page.token", "sesame"),
        ("password", "[redacted]"),
        ("password", "[Scrubbed due to 'password']"),
        ("password", "********"),
        ("password", ""),
        ("password", True),
        ("http.request.header.authorization", ("Bearer [redacted]",)),
        ("http.request.header.authorization", ("Bearer ***",)),
        ("db.connection_string", "redis://:***@cache:6379/0"),
        ("db.connection_string", "postgresql://eve:[redacted]@db/shop"),
        ("url.full", "https://shop.example/@eve?at=9:30"),
        ("note", "the bearer of this letter"),
        ("secretary", "eve"),
        ("task", "risk-" + "0123456789"),
        ("trace", "0af7651916cd43dd8448eb211c80319c"),
    ],
)
def test_no_secret(key: str, value: object) -> None:
    assert list(secret_keys({key: value})) == []
