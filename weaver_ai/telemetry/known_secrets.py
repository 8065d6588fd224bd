"""The secrets that the settings hold, which are redacted wherever they appear."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from pydantic import SecretStr

from weaver_ai.settings import Settings
from weaver_ai.telemetry.otlp_headers import otlp_headers
from weaver_ai.telemetry.outlets import SIGNALS
from weaver_ai.telemetry.redaction import is_secret_key

__all__ = ["known_secrets"]


def known_secrets(settings: Settings) -> list[str]:
    """The values of the settings' own secrets, the passwords inside URLs and headers among them."""
    found: list[str] = []
    for value in dict(settings).values():
        for item in value if isinstance(value, tuple) else (value,):
            text = item.get_secret_value() if isinstance(item, SecretStr) else item
            if isinstance(item, SecretStr):
                found.append(text)
            if isinstance(text, str) and "://" in text:
                found += _secrets_of_url(text)
    for signal in SIGNALS:
        for header in (otlp_headers(settings, signal) or {}).values():
            found += [header, *header.split()[1:]]
    return list(dict.fromkeys(secret for secret in found if secret))


def _secrets_of_url(url: str) -> Iterator[str]:
    """Its password and those in its query, as they are written and as they are meant."""
    rest = url.partition("://")[2]
    written = [rest.rpartition("@")[0].partition(":")[2]] if "@" in rest else []
    query = (pair.partition("=") for pair in url.partition("?")[2].split("&"))
    written += [value for key, _, value in query if is_secret_key(unquote(key))]
    for password in written:
        yield from (password, unquote(password))
