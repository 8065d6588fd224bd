"""WEAVER_REDIS_URL as it is read, and what is said of one that can't be used; never what is secret in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from weaver_ai.errors import SettingsError
from weaver_ai.tasks.redis.address import RedisAddress

PASSWORD = "hunter" + "2"


@pytest.mark.parametrize(
    ("url", "shown", "options"),
    [
        ("redis://db", "redis://db", {"host": "db", "port": 6379}),
        ("redis://db:7000/3", "redis://db:7000/3", {"host": "db", "port": 7000, "db": 3}),
        ("redis://[::1]:7000", "redis://[::1]:7000", {"host": "::1", "port": 7000}),
        (f"redis://:{PASSWORD}@db", "redis://db", {"host": "db", "port": 6379, "password": PASSWORD}),
        (
            f"redis://app:{PASSWORD}%40%2F@db",
            "redis://db",
            {"host": "db", "port": 6379, "username": "app", "password": f"{PASSWORD}@/"},
        ),
        (
            "redis://db?max_connections=20&db=2",
            "redis://db",
            {"host": "db", "port": 6379, "max_connections": 20, "db": 2},
        ),
        (
            "redis://db/1?socket_timeout=2.5",
            "redis://db/1",
            {"host": "db", "port": 6379, "db": 1, "socket_timeout": 2.5},
        ),
        ("unix:///run/redis.sock?db=2", "unix:///run/redis.sock", {"path": "/run/redis.sock", "db": 2}),
        (
            f"unix://app:{PASSWORD}@/run/redis.sock",
            "unix:///run/redis.sock",
            {"path": "/run/redis.sock", "username": "app", "password": PASSWORD},
        ),
        (
            "rediss://db?ssl_cert_reqs=none&ssl_check_hostname=false",
            "rediss://db",
            {"host": "db", "port": 6379, "ssl_cert_reqs": "none", "ssl_check_hostname": False},
        ),
    ],
)
def test_a_server(url: str, shown: str, options: dict[str, Any]) -> None:
    address = RedisAddress.parse(url)
    assert (address.shown, str(address)) == (shown, shown)
    assert address.options == options
    assert address.tls is url.startswith("rediss")
    assert (address.sentinels, address.service) == ((), "")
    assert PASSWORD not in repr(address)


def test_sentinels() -> None:
    url = f"redis+sentinel://app:{PASSWORD}@a:1,[::1]:2,c/main/4?sentinel_password={PASSWORD}s&health_check_interval=5"
    address = RedisAddress.parse(url)
    assert address.shown == "redis+sentinel://a:1,[::1]:2,c/main/4"
    assert address.sentinels == (("a", 1), ("::1", 2), ("c", 26379))
    assert address.service == "main"
    assert address.options == {"username": "app", "password": PASSWORD, "db": 4, "health_check_interval": 5}
    assert address.sentinel_options == {"password": f"{PASSWORD}s"}
    assert PASSWORD not in repr(address)


def test_sentinels_are_asked_by_the_same_tls_as_the_primary(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    address = RedisAddress.parse(f"rediss+sentinel://a/main?ssl_ca_certs={authority}&sentinel_username=watch")
    assert address.tls
    assert address.options == {"ssl_ca_certs": str(authority)}
    assert address.sentinel_options == {"ssl_ca_certs": str(authority), "username": "watch"}


ENCODE = "write /, ?, # and @ of a user name or password percent-encoded, as %2F, %3F, %23 and %40"


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        ("http://db", "is no URL of a Redis", "for instance redis://localhost:6379/0"),
        ("redis+cluster://db", "is no URL of a Redis", "for instance redis://localhost:6379/0"),
        (PASSWORD, "is no URL of a Redis", "for instance redis://localhost:6379/0"),
        (f"redis://:{PASSWORD}#x@db", "has a character that ends the address too early", ENCODE),
        (f"redis://:{PASSWORD}/x@db", "has a character that ends the address too early", ENCODE),
        (f"redis://:{PASSWORD}?x@db/0", "has a character that ends the address too early", ENCODE),
        (f"redis://db:{PASSWORD}", "has a host or a port that is none", ENCODE),
        ("redis://db:70000", "has a host or a port that is none", ENCODE),
        ("redis://db/one", "has a path that is no number of a database", "as in redis://localhost:6379/0"),
        ("redis://a,b", "has more than one host", "for Sentinel begin it with redis+sentinel://"),
        ("redis+sentinel://a,,b/main", "has a comma without a host", None),
        (
            "redis+sentinel://a",
            "names no primary",
            "as in redis+sentinel://host:26379,host:26379/name/0",
        ),
        ("redis+sentinel://a/main/x", "has a path that is no number of a database", "as in redis://localhost:6379/0"),
        ("unix://", "names no socket", "as in unix:///run/redis/redis.sock?db=0"),
        (
            "redis://db?max_conections=9",
            "has an option 'max_conections' that isn't known",
            "did you mean max_connections?",
        ),
        ("redis://db?max_connections=3", "has max_connections=3", "8 at least: some are held for good"),
        (
            "redis://db?max_connections=many",
            "can't be used: Invalid value for 'max_connections' in connection URL.",
            None,
        ),
        ("redis://db?decode_responses=true", "has an option 'decode_responses' that isn't known", "it may have "),
        (
            "redis://db?ssl_ca_certs=/ca.pem",
            "has ssl_ca_certs, which is for TLS",
            "begin it with rediss://, or rediss+sentinel://",
        ),
        ("rediss://db?ssl_ca_certs=/none/ca.pem", "has ssl_ca_certs=/none/ca.pem, and there is no such file", None),
        ("rediss://db?ssl_cert_reqs=maybe", "has a wrong ssl_cert_reqs", "one of none, optional, required"),
    ],
)
def test_what_can_not_be_used_is_said_in_one_line(url: str, message: str, hint: str | None) -> None:
    with pytest.raises(SettingsError) as error:
        RedisAddress.parse(url)
    assert error.value.message == f"WEAVER_REDIS_URL {message}"
    assert (error.value.hint or "").startswith(hint or "")
    assert (error.value.hint is None) is (hint is None)
    assert PASSWORD not in f"{error.value!r} {error.value.message} {error.value.hint}"
