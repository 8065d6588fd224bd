"""Take secrets out of text and attributes before they leave the process.

Three ways, all of them always on: a value under a key that names a secret (`password`,
`x-api-key`), text that looks like a secret (a provider's key, a bearer token, a password in a URL),
and the values of the settings' own secrets wherever they appear. On the way text becomes what UTF-8
can hold: one half of a surrogate pair, which JSON from strangers may have, would cost a whole batch.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from weaver_ai.telemetry.pattern_search import matches, replaced
from weaver_ai.telemetry.secret_patterns import (
    BASIC,
    BEARER,
    COOKIES,
    CURL_USER,
    ELEMENT,
    FIRST,
    FLAG,
    HEADER,
    HINTS_BY_SIGN,
    KEY,
    KEY_HINTS,
    KEY_STARTS,
    PRIVATE_KEY,
    QUERY,
    QUOTED,
    REDIS_ARGUMENTS,
    SHAPES,
    SPOKEN,
    VALUE,
    Hold,
    hold_of,
    is_innocent,
)

__all__ = ["REDACTED", "Redactor", "is_secret_key"]

REDACTED: Final = "[redacted]"

_MIN_KNOWN_SECRET: Final = 6  # shorter values would blank out innocent text everywhere
_JSON_LIMIT: Final = 262_144  # characters; longer JSON is redacted by pattern only, to bound the time
_SHORT_NUMBER: Final = 1_000_000  # below it a number under a loose key counts something
_LONGEST_NAME: Final = 80
_SHORT_TEXT: Final = 128
_MOST_CLEAN: Final = 4_096
_LONGEST_BRACKETS: Final = 2_048
_LONG_USER: Final = 20  # the user of a URL that is as long is a token

_NAMED: Final = (("name", "value"), ("key", "value"), ("Name", "Value"), ("Key", "Value"))
_JSON_HINTS: Final = (*KEY_HINTS, "auth", "bearer")
_NO_SECRET: Final = re.compile(r"true|false|null|none", re.IGNORECASE)
_COUNT: Final = re.compile(r"-?\d{1,6}(?:\.\d+)?")
_WEAK_VALUE: Final = re.compile(r"(?=[^\s]*\d)[^\s]{8,}")
_BRACKET: Final = re.compile(r"(?P<quote>\\{0,3}[\"'])|(?P<open>[\[({])|(?P<close>[\])}])")
_QUOTE: Final = re.compile(r"\\?[\"']")
_URL_END: Final = re.compile(r"[\s\"'<>\\]")
_AUTHORITY_END: Final = re.compile(r"[/?#]")
_PORT: Final = re.compile(r"\d{1,5}(?=[/?#])")


def is_secret_key(key: str) -> bool:
    """Whether a value under `key` is a secret whatever it looks like.

    >>> is_secret_key("http.request.header.x-api-key"), is_secret_key("gen_ai.usage.input_tokens")
    (True, False)
    """
    return hold_of(key) != ""


class Redactor:
    """Redacts by rule, and by the `secrets` it was given. Immutable, and safe to use from any thread."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({secret for secret in secrets if len(secret) >= _MIN_KNOWN_SECRET}, key=len, reverse=True)
        self._known = tuple(known)
        self._keys: dict[str, tuple[Hold, str]] = {}
        self._clean: set[str] = set()

    def text(self, text: str) -> str:
        """`text` without secrets; the same object if there are none."""
        if text in self._clean:
            return text
        original = text
        text = _encodable(text)
        for secret in self._known:
            if secret in text:
                text = text.replace(secret, REDACTED)
        lowered = text.lower()
        if _may_hold_any(lowered):
            text = _without_patterns(text, lowered)
        if text != original:
            return text
        if len(original) <= _SHORT_TEXT:  # most texts are the same few, and this is on the path of every span
            if len(self._clean) >= _MOST_CLEAN:
                self._clean.clear()
            self._clean.add(original)
        return original

    def value(self, key: str, value: Any) -> Any:
        """An attribute's or a body's value without secrets; the same object if there are none."""
        return self._under(self._key(key)[0], value)

    def _under(self, hold: Hold, value: Any) -> Any:
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, (int, float)):
            secret = hold == "firm" or (hold == "loose" and abs(value) >= _SHORT_NUMBER)
            return REDACTED if secret else value
        return _blank(value) if hold else self._inside(value)

    def attributes(self, attributes: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """The attributes without secrets as a new dict, or None if there is nothing to redact.

        A key that is itself a secret is redacted, too.
        """
        changed: dict[str, Any] | None = None
        for key, value in (attributes or {}).items():
            hold, shown = self._key(key)
            redacted = self._under(hold, value)
            if shown != key or (redacted is not value and redacted != value):
                if changed is None:
                    changed = dict(attributes or {})
                if shown != key:
                    del changed[key]
                changed[shown] = redacted
        return changed

    def _key(self, key: str) -> tuple[Hold, str]:
        """How surely `key` names a secret, and what is shown of it."""
        known = self._keys.get(key)
        if known is None:
            known = hold_of(key), self.text(key)
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
            return self._mapping(value)
        if isinstance(value, Sequence):
            items = [self._inside(item) for item in value]
            for at in range(1, len(items)):
                if isinstance(items[at], str) and self._is_flag(value[at - 1]):
                    items[at] = REDACTED
            return value if all(new is old for new, old in zip(items, value, strict=True)) else type(value)(items)  # type: ignore[call-arg]
        return value

    def _mapping(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        redacted = {self._key(str(key))[1]: self.value(str(key), item) for key, item in value.items()}
        for name, of in _NAMED:  # {"name": "X-Api-Key", "value": "..."}
            named = value.get(name)
            if of in value and isinstance(named, str) and (hold := self._key(named)[0]):
                redacted[of] = self._under(hold, value[of])
        return redacted

    def _is_flag(self, word: Any) -> bool:
        """Whether what follows `word` in a list of arguments is a secret: `--password`."""
        return isinstance(word, str) and word.startswith("--") and self._key(word[2:])[0] != ""

    def _json(self, text: str) -> str:
        # Parsed only when a pattern sees something or a key might name a secret: most JSON is clean.
        lowered = text.lower()
        if len(text) <= _JSON_LIMIT and _holds_any(lowered, _JSON_HINTS):
            try:
                parsed = json.loads(text)
            except (ValueError, RecursionError):
                return self.text(text)
            redacted = self._inside(parsed)
            if redacted != parsed:
                text = json.dumps(redacted, ensure_ascii=False, separators=(",", ":"))
        return self.text(text)


def _encodable(text: str) -> str:
    """`text`, with U+FFFD for each half of a surrogate pair that stands alone."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _may_hold_any(text: str) -> bool:
    for sign, hints in HINTS_BY_SIGN:  # noqa: SIM110 - as below
        if sign in text and _holds_any(text, hints):
            return True
    return False


def _holds_any(text: str, hints: tuple[str, ...]) -> bool:
    for hint in hints:  # noqa: SIM110 - `any` over a generator takes three times as long
        if hint in text:
            return True
    return False


def _without_patterns(text: str, lowered: str) -> str:
    for hint, pattern, shorter in REDIS_ARGUMENTS:
        if hint in lowered:
            text = pattern.sub(shorter, text)
    for starts, pattern in SHAPES:
        if _holds_any(lowered, starts):
            text = replaced(pattern, starts, text, _gone)
    if "private key" in lowered:
        text = PRIVATE_KEY.sub(REDACTED, text)
    text = _headers(text, lowered)
    if "://" in lowered and "@" in lowered:
        text = _urls(text)
    if "?" in lowered or "&" in lowered:
        text = QUERY.sub(rf"\1{REDACTED}", text)
    if "curl" in lowered:
        text = CURL_USER.sub(rf"\1{REDACTED}", text)
    return _keyed(text) if _holds_any(lowered, KEY_HINTS) else text


def _keyed(text: str) -> str:
    if "--" in text:
        text = replaced(FLAG, ("--",), text, _after)
    if "<" in text:
        text = ELEMENT.sub(rf"\1{REDACTED}", text)
    text = replaced(QUOTED, ("pass", "identified"), text, lambda found: f"{found[1]}{found[2]}{REDACTED}")
    if " is" in text or " was" in text:
        text = replaced(SPOKEN, KEY_STARTS, text, _after)
    return _pairs(text)


def _gone(found: re.Match[str]) -> str:
    del found
    return REDACTED


def _after(found: re.Match[str]) -> str:
    return f"{found[1]}{REDACTED}"


def _headers(text: str, lowered: str) -> str:
    if "authorization" in lowered:
        text = HEADER.sub(rf"\1{REDACTED}", text)
    if "bearer" in lowered:
        text = replaced(BEARER, ("bearer",), text, _after)
    if "basic" in lowered:
        text = replaced(BASIC, ("basic",), text, _basic)
    if "cookie" in lowered:
        text = COOKIES.sub(rf"\1{REDACTED}", text)
    return text


def _basic(match: re.Match[str]) -> str:
    """`Basic dXNlcjpwdw==` without what it holds; a word that isn't user and password stays."""
    try:
        held = b64decode(match[2], validate=True)
    except (binascii.Error, ValueError):
        return match[0]
    return f"{match[1]}{REDACTED}" if b":" in held and held.isascii() else match[0]


def _urls(text: str) -> str:
    """Without the passwords in URLs, and without users that are tokens."""
    pieces: list[str] = []
    done, end = 0, -1
    mark = text.find("://")
    while mark >= 0:
        begin = mark + 3
        if end < begin:  # URLs without a space between them end at the same place
            found = _URL_END.search(text, begin)
            end = len(text) if found is None else found.start()
        following = text.find("://", begin)
        url = text[begin : end if following < 0 else min(end, following)]
        if "@" in url and (shown := _user(url, http=text.endswith(("http", "https"), max(0, mark - 5), mark))):
            pieces += [text[done:begin], shown[0]]
            done = begin + shown[1]
        mark = following
    return "".join((*pieces, text[done:]))


def _user(url: str, *, http: bool) -> tuple[str, int] | None:
    """What to show of the user and password that `url` begins with, and where they end; None for all of it.

    A password may have an "@" or a "/" that isn't percent-encoded, and a path of HTTP's often has an "@".
    """
    found = _AUTHORITY_END.search(url)
    authority = url if found is None else url[: found.start()]
    name, colon, rest = authority.partition(":")
    inside = authority.rfind("@")
    if "@" in name or not colon:
        if inside < 0 or not (http or inside >= _LONG_USER):
            return None
        return REDACTED, inside
    if name.startswith("[") and name != REDACTED:  # an address of IPv6
        return None
    if inside < 0 and name and _PORT.match(f"{rest}/"):
        return None
    at = inside if http and inside >= 0 else url.rfind("@")
    shown = REDACTED if len(name) >= _LONG_USER else name
    return f"{shown}:{REDACTED if at > len(name) + 1 else ''}", at


def _pairs(text: str) -> str:
    pieces: list[str] = []
    done = 0
    for key in matches(KEY, KEY_STARTS, text):
        begin = key.end()
        if key.start() < done or text.startswith(REDACTED, begin) or not _parts(text, key):
            continue
        found = VALUE.match(text, begin)
        word = "" if found is None else found[0]
        end = begin + len(word)
        bare = _unquoted(word)
        bracketed = bare == word and text.startswith(("[", "(", "{"), end)
        if not (bare or bracketed) or bare.startswith(REDACTED[:-1]) or not _is_secret(text, key, bare):
            continue
        if bracketed:
            end = _closing(text, end)
            bare = word = text[begin:end]
            if not bare.replace(REDACTED, "").strip("[](){},\\\"' "):
                continue
        pieces += [text[done:begin], word.replace(bare, _quoted(key) if bare is word else REDACTED, 1)]
        done = end
    return "".join((*pieces, text[done:])) if pieces else text


def _parts(text: str, key: re.Match[str]) -> bool:
    """Whether what separates `key` from what follows makes a pair of them: in `"a", "b", "c"` nothing does."""
    if "," not in key["separator"] or key["value"]:
        return True
    return FIRST.search(text, max(0, key.start() - _LONGEST_NAME), key.start()) is not None


def _is_secret(text: str, key: re.Match[str], bare: str) -> bool:
    if _NO_SECRET.fullmatch(bare):
        return False
    if (key["firm"] is None or key["plural"]) and _COUNT.fullmatch(bare):
        return False
    if key["loose"] and not _is_assignment(key) and not _WEAK_VALUE.fullmatch(bare):
        return False
    return not is_innocent(f"{text[max(0, key.start() - 30) : key.start()]}{key[1]}")


def _is_assignment(key: re.Match[str]) -> bool:
    """Whether the pair is written as one, not as prose: `token=x` and `"token": "x"`, but not `token: x`."""
    separator = key["separator"].lower()
    return "=" in separator or "3d" in separator or separator[0] in "\\\"'%"


def _quoted(key: re.Match[str]) -> str:
    """In the quotes of the key, so that JSON stays JSON."""
    found = _QUOTE.match(key["separator"])
    return REDACTED if found is None else f"{found[0]}{REDACTED}{found[0]}"


def _unquoted(word: str) -> str:
    return word.removeprefix("b").strip("\\\"'") if word[-1:] in ("'", '"') else word


def _closing(text: str, at: int) -> int:
    """The end of the brackets that open at `at`; or as far as it is looked for."""
    depth, quote = 0, None
    for found in _BRACKET.finditer(text, at, at + _LONGEST_BRACKETS):
        if found["quote"]:
            quote = found[0] if quote is None else None if found[0] == quote else quote
        elif quote is None:
            depth += 1 if found["open"] else -1
            if depth == 0:
                return found.end()
    return min(len(text), at + _LONGEST_BRACKETS)


def _blank(value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return tuple(REDACTED for _ in value)
    return REDACTED
