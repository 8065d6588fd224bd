"""What a secret looks like: by the name of its key, by its own shape, by where it stands.

No pattern may look ahead or repeat without a bound: attributes hold text that strangers wrote.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

__all__ = [
    "BASIC",
    "BEARER",
    "COOKIES",
    "CURL_USER",
    "ELEMENT",
    "FIRST",
    "FLAG",
    "HEADER",
    "HINTS_BY_SIGN",
    "KEY",
    "KEY_HINTS",
    "KEY_STARTS",
    "PRIVATE_KEY",
    "QUERY",
    "QUOTED",
    "REDIS_ARGUMENTS",
    "SHAPES",
    "SPOKEN",
    "VALUE",
    "Hold",
    "hold_of",
    "is_innocent",
]

Hold: TypeAlias = Literal["", "loose", "firm"]
"""How surely a key names a secret: under a loose one a short number is a number, and prose is prose."""

_KEY_OF: Final = (
    r"(?:account|master|subscription|openai|anthropic|gemini|mistral|groq|cohere|deepseek|openrouter|stripe|sendgrid)"
)
_LOGIN: Final = r"(?:db|database|smtp|mail|user|ftp|ssh|redis|mysql|pg|postgres|mongo|rabbitmq|admin|root|login|proxy)"
_FIRM: Final = (
    rf"{_KEY_OF}[-_]?key|(?<![A-Za-z]){_LOGIN}[-_]?pass|"
    r"passw(?:or)?d|passwd|passphrase|passcode|pwd|secret(?:[-_ ]?key)?|api[-_ ]?key|private[-_ ]?key|"
    r"access[-_ ]?key(?:[-_ ]?id)?|authorization|credential|set-cookie|cookie|"
    r"session[-_ ]?key|signing[-_ ]?key|encryption[-_ ]?key|conn(?:ection)?[-_ ]?str(?:ing)?|"
    r"(?<![A-Za-z])(?:jwt|t?otp|creds)"
)
_LOOSE: Final = r"token|dsn|signature|session[-_]?id"
_TOKENS: Final = r"(?:access|refresh|auth|api|bearer|session|id)[-_ ]?tokens"  # other "tokens" are a model's
_KIND: Final = r"(?:[-_.](?:hash|pem|header|value|string|base64|confirm(?:ation)?))?(?:[-_.]?\d{1,2})?"
_KIND_IN_TEXT: Final = r"(?:[-_]?(?:hash|pem|value|base64|confirm(?:ation)?))?(?:[-_]?\d{1,2})?"
_BEFORE: Final = r"(?:^|[-_. ])"

_FIRM_KEY: Final = re.compile(rf"(?:{_BEFORE}(?:{_FIRM})|passw(?:or)?d){_KIND}$", re.IGNORECASE)
_LOOSE_KEY: Final = re.compile(
    rf"{_BEFORE}(?:(?:{_FIRM})s|{_TOKENS}|{_LOOSE}|bearer|auth|redis\.search\.query){_KIND}$"
    r"|^redis\.search\.xdoc_",  # what the Redis instrumentation keeps of a search, whatever the switches say
    re.IGNORECASE,
)
_INNOCENT_KEY: Final = re.compile(
    r"(?:page|cursor|first|last|next|eos|bos|pad|stop|cancellation|continuation|idempotency)[-_.]?(?:\w+[-_.])?token$",
    re.IGNORECASE,
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def hold_of(key: str) -> Hold:
    """How surely `key` names a secret. `session.id`, OpenTelemetry's name of an identifier, isn't `session_id`."""
    spelled = _CAMEL.sub("_", key)
    if is_innocent(spelled):
        return ""
    if _FIRM_KEY.search(spelled) is not None:
        return "firm"
    return "loose" if _LOOSE_KEY.search(spelled) is not None else ""


def is_innocent(key: str) -> bool:
    """Whether `key` ends as the key of a place in a list or in a stream does: `next_page_token`."""
    return _INNOCENT_KEY.search(key) is not None


# Where a word begins; also after an escape, as in the text of JSON, of Python's `repr` and of URLs: `\nsk-...`.
_BEGIN: Final = r"(?:(?<!\w)|(?<=\\[nrtbf])|(?<=\\u[0-9A-Fa-f]{4})|(?<=%[0-9A-Fa-f]{2}))"

_LONG: Final = r"(?=[A-Za-z0-9_-]{0,200}\d)[A-Za-z0-9_-]{16,}"
_OF_SERVICES: Final = (
    *(
        "gsk_",
        "xai-",
        "hf_",
        "glpat-",
        "glrt-",
        "r8_",
        "tvly-",
        "pplx-",
        "nvapi-",
        "lsv2_",
        "ntn_",
        "whsec_",
        "dop_v1_",
    ),
    *("lin_api_", "sntrys_", "dckr_pat_", "shpat_", "rk_live_", "rk_test_", "GOCSPX-", "PMAK-", "ATATT3x"),
)

# Each with literals, in lower case, one of which a match begins with.
SHAPES: Final[tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]] = (
    (
        ("sk-", "sk_"),
        re.compile(
            _BEGIN + r"(?:sk[-_](?=[A-Za-z0-9_-]{0,200}\d)|sk-(?:proj|svcacct|admin|ant|or)-(?=[A-Za-z0-9_-]{16}))"
            r"[A-Za-z0-9_-]{16,}"
        ),
    ),
    (("pylf_",), re.compile(_BEGIN + r"pylf_v\d+_[A-Za-z0-9_-]{8,}")),
    (("aiza",), re.compile(_BEGIN + r"AIza[A-Za-z0-9_-]{30,}")),
    (("ya29.",), re.compile(_BEGIN + r"ya29\.[A-Za-z0-9._-]{20,}")),
    (("akia", "asia"), re.compile(_BEGIN + r"(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    (
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        re.compile(_BEGIN + r"(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"),
    ),
    (("xox", "xapp-"), re.compile(_BEGIN + r"(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,}")),
    (("hooks.slack.com/",), re.compile(r"hooks\.slack\.com/[a-z]{1,20}/[A-Za-z0-9/_-]{8,}")),
    (("npm_",), re.compile(_BEGIN + r"npm_[A-Za-z0-9]{36}")),
    (("pypi-",), re.compile(_BEGIN + r"pypi-[A-Za-z0-9_-]{50,}")),
    (("sg.", "hvs."), re.compile(_BEGIN + r"(?:SG\.[A-Za-z0-9_-]{16,64}\.|hvs\.)[A-Za-z0-9_-]{16,}")),
    (
        tuple(prefix.lower() for prefix in _OF_SERVICES),
        re.compile(_BEGIN + rf"(?:{'|'.join(map(re.escape, _OF_SERVICES))}){_LONG}"),
    ),
    (("eyj",), re.compile(_BEGIN + r"eyJ[A-Za-z0-9_-]{6,1000}\.[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*")),
)
PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
)
BEARER: Final = re.compile(
    _BEGIN + r"(bearer(?:\s{1,8}|%20|\+|[:=]\s{0,8}))"
    r"(?=[A-Za-z0-9._~+/-]{0,200}\d|[A-Za-z0-9._~+/-]{20})[A-Za-z0-9._~+/-]{6,}=*",
    re.IGNORECASE,
)
BASIC: Final = re.compile(_BEGIN + r"(basic\s{1,8})([A-Za-z0-9+/]{4,4096}={0,2})", re.IGNORECASE)
# An authorization header takes its scheme with it: `Authorization: Basic dXNlcg==`.
HEADER: Final = re.compile(
    r"(authorization[\"']?\\?[\"']?\s*[:=,]\s*(?:b(?=[\"']))?\\?[\"']?)(?:(?:bearer|basic|token|digest|apikey)\s+)?"
    r"(?:\[redacted\]|[^\s\"'\\,;&}\])]+)",
    re.IGNORECASE,
)
# A header with cookies, to the end of its line or of the text that it is quoted in.
COOKIES: Final = re.compile(
    r"(cookie\s{0,8}[:=]\s{0,8})(?=[^\s;,=\"'\\]{1,256}=)(?:=\"[^\"\r\n]{0,4096}\"|[^\r\n\"'\\])+", re.IGNORECASE
)
QUERY: Final = re.compile(
    r"([?&;](?:key|sig|auth|pass|code(?==[^&;\s]{16})|x-(?:amz|goog)-(?:signature|credential|security-token))=)[^&;\s\"'<>#]+",
    re.IGNORECASE,
)
FLAG: Final = re.compile(
    r"(?:(?<![\w-])|(?<=\\[nrt]))"
    rf"(--(?:[A-Za-z0-9]{{1,30}}[-_]){{0,4}}(?:(?:{_FIRM})s?|{_TOKENS}|{_LOOSE})\s{{1,8}})(?!\[redacted\])"
    r"(\"[^\"]{1,4096}\"|'[^']{1,4096}'|[^\s\"'-][^\s\"',;)\]}]*)",
    re.IGNORECASE,
)
ELEMENT: Final = re.compile(rf"(<(?:[A-Za-z0-9]{{1,30}}[-_:]){{0,4}}(?:(?:{_FIRM})s?|token)>)[^<>]+", re.IGNORECASE)
# In prose: quoted after a word for a password, or what looks like a secret after "is".
QUOTED: Final = re.compile(
    r"((?:passw(?:or)?d|passphrase|passcode|identified\s{1,8}by)\s{1,8}(?:(?:is|was|to)\s{1,8})?)"
    r"(\\?[\"'`])(?!\[redacted\])[^\"'`\\\s]{1,256}(?=\\?[\"'`])",
    re.IGNORECASE,
)
SPOKEN: Final = re.compile(
    rf"((?:{_FIRM}|token)\s{{1,8}}(?:is|was)\s{{1,8}}[\"'`]?)(?=[^\s\"'`\\,;]{{0,200}}\d)[^\s\"'`\\,;]{{8,}}",
    re.IGNORECASE,
)
CURL_USER: Final = re.compile(r"(\s(?:-u|--user)[\s=]{0,4}[\"']?[^\s:\"']{1,64}:)[^\s\"']+")
# What redis-py and Redis say of a command that failed holds its arguments.
REDIS_ARGUMENTS: Final[tuple[tuple[str, re.Pattern[str], str], ...]] = (
    (
        "of pipeline caused",
        re.compile(r"(Command # \d{1,9} \([^\s()]{1,64})[\s\S]{0,400}?(\) of pipeline caused)"),
        r"\1 ...\2",
    ),
    ("with args beginning with:", re.compile(r"(with args beginning with:)[^\r\n]+"), r"\1 ..."),
)

# A key that names a secret and what separates it from its value: key=value, "key": "value", key: value.
KEY: Final = re.compile(
    rf"((?P<firm>{_FIRM})(?P<plural>s?){_KIND_IN_TEXT}|{_TOKENS}|(?P<loose>{_LOOSE}))"
    r"(?P<separator>(?:\\?[\"']|%22)?\]?\s{0,8}(?::=|=>|[:=]|%3[AD]|\\u003[AD])\s{0,8}(?:[|>][-+]?\s{1,8})?|"
    r"\\?[\"']\s{0,8},\s{0,8}(?P<value>\\?[\"']value\\?[\"']\s{0,8}:\s{0,8})?(?=b?\\?[\"']))",
    re.IGNORECASE,
)
# Before the name of a secret that a comma parts from its value: it is the first of a pair, or the flag of a command.
FIRST: Final = re.compile(r"(?:[\[(]\s{0,8}b?\\?[\"'][\w.-]{0,60}|[\"']--?[\w-]{0,60})\Z")
VALUE: Final = re.compile(
    r"b?\\\"(?:[^\"\\]|\\[^\"])*\\\"|b?\\'(?:[^'\\]|\\[^'])*\\'|b?\"(?:[^\"\\]|\\.)*\"|b?'(?:[^'\\]|\\.)*'|"
    r"[^\s,;&\"'\\{}\[\]()<>]+"
)

KEY_HINTS: Final = (
    "pass", "pwd", "secret", "key", "authorization", "credential", "cookie", "token", "dsn", "jwt", "otp",
    "creds", "identified", "signature", "session_id", "session-id", "sessionid",
    "connection_str", "connection-str", "connection str", "connectionstr",
    "conn_str", "conn-str", "conn str", "connstr",
)  # fmt: skip
"""Text without any of these has no key that names a secret."""

KEY_STARTS: Final = (
    "account", "master", "subscription", "openai", "anthropic", "gemini", "mistral", "groq", "cohere", "deepseek",
    "openrouter", "stripe", "sendgrid", "db", "database", "smtp", "mail", "user", "ftp", "ssh", "redis", "mysql", "pg",
    "postgres", "mongo", "rabbitmq", "admin", "root", "login", "proxy", "pass", "pwd", "secret", "api", "private",
    "access", "auth", "credential", "set-cookie", "cookie", "session", "signing", "encryption", "conn", "jwt", "otp",
    "totp", "creds", "refresh", "bearer", "idtokens", "id-tokens", "id_tokens", "id tokens", "token", "dsn",
    "signature",
)  # fmt: skip
"""What a match of KEY begins with, one of them."""

HINTS: Final = tuple(
    dict.fromkeys(
        (
            *(hint for hints, _ in SHAPES for hint in hints),
            *(hint for hint, _, _ in REDIS_ARGUMENTS),
            *KEY_HINTS,
            *("bearer", "basic", "sig=", "auth=", "code=", "curl", "@"),
        )
    )
)
"""Text without any of these, in lower case, holds nothing that a pattern here finds."""

HINTS_BY_SIGN: Final = tuple(
    (sign, tuple(hint for hint in HINTS if next((one for one in "_-.=" if one in hint), "") == sign))
    for sign in ("", "_", "-", ".", "=")
)
"""The same, by a sign that they have: text without it needs no look at them."""
