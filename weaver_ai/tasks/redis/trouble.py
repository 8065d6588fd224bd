"""What is wrong with a Redis, in a few words that an operator can act on and that have nothing secret in them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    MaxConnectionsError,
    NoPermissionError,
    ReadOnlyError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

__all__ = ["CutOff", "NoHandshake", "trouble"]


class CutOff(RedisConnectionError):
    """Redis closed a connection before it had said anything."""

    def __init__(self, *, tls: bool) -> None:
        maybe = "it may want a client's certificate (ssl_certfile, ssl_keyfile)" if tls else "TLS wants rediss://"
        super().__init__(f"it cuts each new connection off: {maybe}")


class NoHandshake(RedisConnectionError):
    """No TLS came about in time."""

    def __init__(self) -> None:
        super().__init__("no TLS with it came about in time: a port without TLS wants redis://")


_KNOWN: tuple[tuple[type[Exception], str], ...] = (
    (AuthenticationError, "it refuses the user or the password of WEAVER_REDIS_URL"),
    (NoPermissionError, "its ACL forbids the user of WEAVER_REDIS_URL a command, a key or a channel"),
    (BusyLoadingError, "it is still loading its data"),
    (ReadOnlyError, "it is a replica, and takes no writes"),
)


def trouble(error: BaseException) -> str:
    """Why Redis couldn't be used: for what people set wrong a sentence, for the rest the error's type."""
    for kind, text in _KNOWN:
        if isinstance(error, kind):
            return text
    if isinstance(error, CutOff | NoHandshake):
        return str(error)
    if isinstance(error, MaxConnectionsError):
        return f"{error} (max_connections of WEAVER_REDIS_URL)"
    if isinstance(error, MasterNotFoundError):
        return _no_primary(str(error))
    for each in _chain(error):
        if isinstance(each, ssl.SSLError):
            return _tls(each)
    return type(error).__name__


def _no_primary(text: str) -> str:
    # redis-py appends what each Sentinel that didn't answer did instead, all in one text.
    if " : " not in text:
        return "no Sentinel has a working primary under the name in WEAVER_REDIS_URL"
    if "AuthenticationError" in text:
        return "a Sentinel refuses sentinel_username or sentinel_password of WEAVER_REDIS_URL"
    return "no Sentinel of WEAVER_REDIS_URL answers and has a working primary"


def _tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate isn't trusted: {error.verify_message} (ssl_ca_certs of WEAVER_REDIS_URL)"
    return f"TLS fails: {error.reason or type(error).__name__}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
