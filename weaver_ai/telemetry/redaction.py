"""Take secrets out of text and attributes before they leave the process.

Three ways, all of them always on: a value under a key that names a secret (`password`,
`x-api-key`), text that looks like a secret (a provider's key, a bearer token, a password in a URL),
and the values of the settings' own secrets wherever they appear.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["REDACTED", "Redactor", "is_secret_key"]

REDACTED = "[redacted]"

_MIN_KNOWN_SECRET = 6  # shorter values would blank out innocent text everywhere
_JSON_LIMIT = 262_144  # characters; longer JSON is redacted by pattern only, to bound the time

_SENSITIVE = (
    r"passw(?:or)?d|passwd|passphrase|pwd|secret|api[-_ ]?key|private[-_ ]?key|access[-_ ]?key(?:[-_ ]?id)?|"
    r"authorization|credentials?|set-cookie|cookie|session[-_ ]?key|signing[-_ ]?key|encryption[-_ ]?key"
)
_TOKENS = r"(?:access|refresh|auth|api|bearer|session|id)[-_ ]?tokens"  # other "tokens" are a model's
_SECRET_KEY = re.compile(rf"(?:^|[-_. ])(?:(?:{_SENSITIVE})s?|{_TOKENS}|token|bearer|auth|dsn)$", re.IGNORECASE)
_INNOCENT_KEY = re.compile(
    r"(?:page|cursor|first|last|next|eos|bos|pad|stop|cancellation|continuation|idempotency)[-_.]?(?:\w+[-_.])?token$",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

# No pattern may look ahead or repeat without a bound: attributes hold text that strangers wrote.
# Each with a literal that must occur (case-insensitively) before the pattern is worth running.
_SHAPES: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (("sk-", "sk_"), re.compile(r"\b[sr]k[-_](?=[A-Za-z0-9_-]{0,200}\d)[A-Za-z0-9_-]{16,}")),
    (("pylf_",), re.compile(r"\bpylf_v\d+_[A-Za-z0-9_-]{8,}")),
    (("aiza",), re.compile(r"\bAIza[A-Za-z0-9_-]{30,}")),
    (("akia", "asia"), re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    (
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"),
    ),
    (("xox",), re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}")),
    (("gsk_", "xai-", "hf_", "glpat-", "r8_"), re.compile(r"\b(?:gsk_|xai-|hf_|glpat-|r8_)[A-Za-z0-9_-]{16,}")),
    (("eyj",), re.compile(r"\beyJ[A-Za-z0-9_-]{6,1000}\.[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*")),
    (
        ("private key",),
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"),
    ),
)
_BEARER = re.compile(
    r"\b(bearer\s+)(?=[A-Za-z0-9._~+/-]{0,200}\d|[A-Za-z0-9._~+/-]{20})[A-Za-z0-9._~+/-]{6,}=*", re.IGNORECASE
)
_URL_PASSWORD = re.compile(r"(?<=://)([^/\s:@\"'<>]*):([^/\s@\"'<>]+)@")
# An authorization header takes its scheme with it: `Authorization: Basic dXNlcg==`.
_HEADER = re.compile(
    r"(authorization[\"']?\\?[\"']?\s*[:=,]\s*(?:b(?=[\"']))?\\?[\"']?)(?:(?:bearer|basic|token|digest|apikey)\s+)?"
    r"(?:\[redacted\]|[^\s\"'\\,;&}\])]+)",
    re.IGNORECASE,
)
# key=value, "key": "value", key: value (with a key that names a secret).
_PAIR = re.compile(
    rf"((?:{_SENSITIVE})s?|{_TOKENS}|(?P<weak>token|dsn))"
    r"(?P<separator>\\?[\"']?\s{0,8}[:=]\s{0,8}|\\?[\"']\s{0,8},\s{0,8}(?=b?\\?[\"']))"
    r"(?P<value>b?\\\"(?:[^\"\\]|\\[^\"])*\\\"|b?\"(?:[^\"\\]|\\.)*\"|b?'(?:[^'\\]|\\.)*'|[^\s,;&\"'\\{}\[\]()<>]+)",
    re.IGNORECASE,
)
_PAIR_HINTS = (
    "pass", "pwd", "secret", "key", "authorization", "credential", "cookie", "token", "dsn",
)  # fmt: skip
_SUSPECT = re.compile(
    "|".join(
        re.escape(hint) for hint in (*(hint for hints, _ in _SHAPES for hint in hints), *_PAIR_HINTS, "bearer", "@")
    ),
    re.IGNORECASE,
)
_PLAIN_NUMBER = re.compile(r"-?\d{1,9}(?:\.\d+)?|true|false|null|none", re.IGNORECASE)
_WEAK_VALUE = re.compile(r"(?=[^\s]*\d)[^\s]{8,}")


def is_secret_key(key: str) -> bool:
    """Whether a value under `key` is a secret whatever it looks like.

    >>> is_secret_key("http.request.header.x-api-key"), is_secret_key("gen_ai.usage.input_tokens")
    (True, False)
    """
    spelled = _CAMEL.sub("_", key)
    return _SECRET_KEY.search(spelled) is not None and _INNOCENT_KEY.search(spelled) is None


class Redactor:
    """Redacts by rule, and by the `secrets` it was given. Immutable, and safe to use from any thread."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({secret for secret in secrets if len(secret) >= _MIN_KNOWN_SECRET}, key=len, reverse=True)
        self._known = tuple(known)
        self._keys: dict[str, bool] = {}

    def text(self, text: str) -> str:
        """`text` without secrets; the same object if there are none."""
        original = text
        for secret in self._known:
            if secret in text:
                text = text.replace(secret, REDACTED)
        if _SUSPECT.search(text) is None:  # nearly all text ends here, and this is on the path of every span
            return original if text == original else text
        lowered = text.lower()
        for hints, pattern in _SHAPES:
            if any(hint in lowered for hint in hints):
                text = pattern.sub(REDACTED, text)
        if "authorization" in lowered:
            text = _HEADER.sub(rf"\1{REDACTED}", text)
        if "bearer" in lowered:
            text = _BEARER.sub(rf"\1{REDACTED}", text)
        if "://" in lowered and "@" in lowered:
            text = _URL_PASSWORD.sub(rf"\1:{REDACTED}@", text)
        if any(hint in lowered for hint in _PAIR_HINTS):
            text = self._pairs(text)
        return original if text == original else text

    def value(self, key: str, value: Any) -> Any:
        """An attribute's or a body's value without secrets; the same object if there are none."""
        if isinstance(value, (bool, int, float)) or value is None:
            return value
        if self._is_secret(key):
            return _blank(value)
        return self._inside(value)

    def attributes(self, attributes: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """The attributes without secrets as a new dict, or None if there is nothing to redact."""
        changed: dict[str, Any] | None = None
        for key, value in (attributes or {}).items():
            redacted = self.value(key, value)
            if redacted is not value and redacted != value:
                if changed is None:
                    changed = dict(attributes or {})
                changed[key] = redacted
        return changed

    def _is_secret(self, key: str) -> bool:
        known = self._keys.get(key)
        if known is None:
            known = is_secret_key(key)
            if len(self._keys) < 10_000:  # noqa: PLR2004 - keys are few; this only bounds a hostile program
                self._keys[key] = known
        return known

    def _inside(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._json(value) if value[:1] in ("{", "[") else self.text(value)
        if isinstance(value, bytes):
            text = value.decode("utf-8", "replace")
            redacted = self.text(text)
            return value if redacted == text else redacted.encode()
        if isinstance(value, Mapping):
            return {str(key): self.value(str(key), item) for key, item in value.items()}
        if isinstance(value, Sequence):
            items = [self._inside(item) for item in value]
            return value if all(new is old for new, old in zip(items, value, strict=True)) else type(value)(items)  # type: ignore[call-arg]
        return value

    def _json(self, text: str) -> str:
        # Parsed only when a pattern sees something or a key might name a secret: most JSON is clean.
        lowered = text.lower()
        if len(text) <= _JSON_LIMIT and any(hint in lowered for hint in (*_PAIR_HINTS, "auth", "bearer")):
            try:
                parsed = json.loads(text)
            except (ValueError, RecursionError):
                return self.text(text)
            redacted = self._inside(parsed)
            if redacted != parsed:
                text = json.dumps(redacted, ensure_ascii=False, separators=(",", ":"))
        return self.text(text)

    def _pairs(self, text: str) -> str:
        def replaced(match: re.Match[str]) -> str:
            value = match["value"]
            bare = value.lstrip("b").strip("\\\"'")
            if not bare or bare.startswith(REDACTED[:-1]) or _PLAIN_NUMBER.fullmatch(bare):
                return match[0]
            if match["weak"] and not _is_assignment(match) and not _WEAK_VALUE.fullmatch(bare):
                return match[0]
            if _INNOCENT_KEY.search(f"{text[max(0, match.start() - 30) : match.start()]}{match[1]}"):
                return match[0]
            return f"{match[1]}{match['separator']}{value.replace(bare, REDACTED, 1)}"

        return _PAIR.sub(replaced, text)


def _is_assignment(match: re.Match[str]) -> bool:
    """Whether the pair is written as one, not as prose: `token=x` and `"token": "x"`, but not `token: x`."""
    return "=" in match["separator"] or match["separator"][0] in "\\\"'"


def _blank(value: Any) -> Any:
    if isinstance(value, (str, bytes, Mapping)):
        return REDACTED
    if isinstance(value, Sequence):
        return tuple(REDACTED for _ in value)
    return REDACTED
