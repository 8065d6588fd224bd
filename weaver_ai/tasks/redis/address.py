"""Where a Redis is and how to get in, from one URL: TCP, TLS, a Unix socket, or Sentinel."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from redis.asyncio.connection import parse_url

from weaver_ai.errors import SettingsError

__all__ = ["RedisAddress"]

_VARIABLE: Final = "WEAVER_REDIS_URL"
_SENTINEL_PORT: Final = 26379
_SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_OPTIONS: Final = (
    "db",
    "max_connections",
    "timeout",
    "socket_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "health_check_interval",
    "client_name",
    "protocol",
)
_LOGIN: Final = ("username", "password")
_SENTINEL_LOGIN: Final = {"sentinel_username": "username", "sentinel_password": "password"}
_FILES: Final = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_TLS: Final = (
    *_FILES,
    "ssl_ca_data",
    "ssl_password",
    "ssl_cert_reqs",
    "ssl_check_hostname",
    "ssl_min_version",
    "ssl_ciphers",
    "ssl_include_verify_flags",
    "ssl_exclude_verify_flags",
)
_CERT_REQS: Final = ("none", "optional", "required")
_FEWEST: Final = 8
_PERCENT: Final = "write /, ?, # and @ of a user name or password percent-encoded, as %2F, %3F, %23 and %40"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """A URL that was read. Neither `str` nor `repr` of it has a secret.

    Attributes:
        shown: for people: without user, password and options.
        options: of a connection to a Redis server, as redis-py names them.
        sentinels: where Sentinels listen, and `sentinel_options` of connections to them; empty without Sentinel.
        service: what the Sentinels call the primary.
    """

    shown: str
    tls: bool
    options: Mapping[str, Any] = field(repr=False)
    sentinels: tuple[tuple[str, int], ...] = ()
    sentinel_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    service: str = ""

    def __str__(self) -> str:
        return self.shown

    @classmethod
    def parse(cls, url: str) -> RedisAddress:
        """Read a URL: `redis://`, `rediss://`, `unix://`, `redis+sentinel://` or `rediss+sentinel://`.

        Raises:
            SettingsError: it can't be used; the message names what is wrong and has nothing of the URL that is secret.
        """
        parts = _parts(url)
        options = dict(_options(parts))
        sentinel = {name: options.pop(key) for key, name in _SENTINEL_LOGIN.items() if key in options}
        tls = parts.scheme.startswith("rediss")
        typed = _typed(options)
        if user := _user(parts):
            typed |= user
        hosts = tuple(_hosts(parts))
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        if parts.scheme == "unix":
            return cls(shown=shown, tls=False, options={**typed, "path": _socket(parts)})
        segments = [unquote(segment) for segment in parts.path.split("/") if segment]
        if not parts.scheme.endswith("+sentinel"):
            ((host, port),) = hosts
            return cls(shown=shown, tls=tls, options={**_with_db(typed, segments), "host": host, "port": port or 6379})
        if not segments:
            raise _wrong("names no primary", f"as in {parts.scheme}://host:26379,host:26379/name/0")
        same_tls = {name: value for name, value in typed.items() if name.startswith("ssl_")}
        return cls(
            shown=shown,
            tls=tls,
            options=_with_db(typed, segments[1:]),
            sentinels=tuple((host, port or _SENTINEL_PORT) for host, port in hosts),
            sentinel_options={**same_tls, **sentinel},
            service=segments[0],
        )


def _wrong(what: str, hint: str | None = None) -> SettingsError:
    return SettingsError(f"{_VARIABLE} {what}", hint=hint)


def _parts(url: str) -> SplitResult:
    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in _SCHEMES:
        raise _wrong("is no URL of a Redis", "for instance redis://localhost:6379/0")
    # Several hosts, one of them in brackets, are more than urlsplit takes.
    end = min((at for mark in "/?#" if (at := rest.find(mark)) >= 0), default=len(rest))
    parts = urlsplit(f"{scheme}://host{rest[end:]}")._replace(netloc=rest[:end])
    if "#" in url or "@" in parts.path or "@" in parts.query:
        raise _wrong("has a character that ends the address too early", _PERCENT)
    return parts


def _options(parts: SplitResult) -> Iterator[tuple[str, str]]:
    tls, sentinel = parts.scheme.startswith("rediss"), parts.scheme.endswith("+sentinel")
    known = (*_OPTIONS, *(_TLS if tls else ()), *(_SENTINEL_LOGIN if sentinel else ()))
    known = (*known, *(_LOGIN if parts.scheme == "unix" else ()))
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in known:
            raise _unknown(name, known)
        if name in _FILES and not Path(value).exists():
            raise _wrong(f"has {name}={value}, and there is no such file")
        if name == "ssl_cert_reqs" and value not in _CERT_REQS:
            raise _wrong("has a wrong ssl_cert_reqs", f"one of {', '.join(_CERT_REQS)}")
        yield name, value


def _unknown(name: str, known: tuple[str, ...]) -> SettingsError:
    if name in _TLS:
        return _wrong(f"has {name}, which is for TLS", "begin it with rediss://, or rediss+sentinel://")
    close = difflib.get_close_matches(name, known, n=1)
    guess = f"did you mean {close[0]}?" if close else f"it may have {', '.join(known)}"
    return _wrong(f"has an option {name!r} that isn't known", guess)


def _typed(options: Mapping[str, str]) -> dict[str, Any]:
    """The values as redis-py types those of its own URLs."""
    try:
        typed: dict[str, Any] = {**parse_url(f"redis:///?{urlencode(options)}")}
    except ValueError as error:
        raise _wrong(f"can't be used: {error}") from None  # it names the option and not its value
    if (most := typed.get("max_connections")) is not None and most < _FEWEST:
        raise _wrong(f"has max_connections={most}", f"{_FEWEST} at least: some are held for good")
    return typed


def _user(parts: SplitResult) -> dict[str, str]:
    userinfo, at, _ = parts.netloc.rpartition("@")
    if not at:
        return {}
    name, _, password = userinfo.partition(":")
    return {key: unquote(value) for key, value in (("username", name), ("password", password)) if value}


def _hosts(parts: SplitResult) -> Iterator[tuple[str, int]]:
    """Host and port of each member; 0 stands for the usual port."""
    members = parts.netloc.rpartition("@")[2].split(",")
    if len(members) > 1 and not parts.scheme.endswith("+sentinel"):
        raise _wrong("has more than one host", "for Sentinel begin it with redis+sentinel://")
    for member in members:
        try:
            at = urlsplit(f"//{member.strip()}")
            host, port = at.hostname, at.port
        except ValueError:
            raise _wrong("has a host or a port that is none", _PERCENT) from None
        if host is None and len(members) > 1:
            raise _wrong("has a comma without a host")
        yield host or "localhost", port or 0


def _socket(parts: SplitResult) -> str:
    if not parts.path:
        raise _wrong("names no socket", "as in unix:///run/redis/redis.sock?db=0")
    return unquote(parts.path)


def _with_db(options: dict[str, Any], segments: list[str]) -> dict[str, Any]:
    if not segments:
        return options
    if len(segments) > 1 or not segments[0].isdecimal():
        raise _wrong("has a path that is no number of a database", "as in redis://localhost:6379/0")
    return {"db": int(segments[0]), **options}
