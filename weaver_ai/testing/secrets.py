"""Whether an attribute gives a secret away.

Its own few rules, not the redactor's of `weaver_ai.telemetry`: a check that shares them with what it
checks finds nothing, and the plugin must not load the service's dependencies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

__all__ = ["secret_keys"]

_KEY = re.compile(
    r"(?:^|[._-])(?:authorization|api[._-]?key|password|passwd|secret|private[._-]?key|access[._-]?key|"
    r"client[._-]?secret|(?:access|refresh|id|auth|bearer|session)[._-]?token|set-cookie|cookie)$",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"\b(?:sk|rk)[-_](?:[a-z]+-)*[A-Za-z0-9_-]*\d[A-Za-z0-9_-]{14,}"  # OpenAI, Anthropic, Stripe
    r"|\bpylf_v\d+_\w{8,}|\bAKIA[A-Z0-9]{16}\b|\bAIza[\w-]{30,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}"
    r"|\bxox[abeoprs]-[\w-]{10,}|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+"  # Slack, a signed token
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|(?i:\bbearer\s+)(?=\S*\d)[\w.~+/-]{12,}"
    r"|://[^/\s:@]*:(?![*•]|x{3}|(?i:\[?(?:redacted|filtered|masked)))[^/\s@]+@"
)
_MASKED = re.compile(
    r"\W*(?:(?:bearer|basic)\s+)?\W*(?:redacted|scrubbed|filtered|masked|hidden|removed|omitted|x{3,}|\*{3,}|•{3,}|$)",
    re.IGNORECASE,
)


def secret_keys(attributes: Mapping[str, object]) -> Iterator[str]:
    """The keys whose value looks like a secret: by the key's name, unless the value is masked, or by its shape.

    >>> list(secret_keys({"db.url": "redis://:hunter2@cache/0", "http.request.header.authorization": "[redacted]"}))
    ['db.url']
    """
    for key, value in attributes.items():
        for text in _texts(value):
            if _VALUE.search(text) or (_KEY.search(key) and not _MASKED.match(text)):
                yield key
                break


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _texts(item)
