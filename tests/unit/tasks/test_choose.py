"""Which engine the settings ask for, and what is said when it can't be had."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec

import pytest

from weaver_ai.errors import MissingExtra, SettingsError
from weaver_ai.settings import load_settings
from weaver_ai.tasks.choose import redis_engine, shown_redis


def test_without_the_extra_one_line_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def missing(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "docket" else find(name, package)

    monkeypatch.setattr("weaver_ai.tasks.choose.find_spec", missing)
    with pytest.raises(MissingExtra) as error:
        redis_engine(load_settings(env_file=None, redis_url="redis://localhost"), unwind_seconds=1)
    assert error.value.message == "WEAVER_REDIS_URL needs the extra 'redis': pip install 'weaver-ai[redis]'"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (None, "no Redis is set"),
        ("http://localhost", "WEAVER_REDIS_URL is no URL of a Redis"),
        ("localhost:6379", "WEAVER_REDIS_URL is no URL of a Redis"),
    ],
)
def test_a_url_of_something_else_is_refused(url: str | None, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        redis_engine(load_settings(env_file=None, redis_url=url), unwind_seconds=1)
    assert error.value.message == message


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://me:hunter2@db:6379/3", "redis://db:6379/3"),
        ("rediss://:p%40ss@db", "rediss://db"),
        ("redis+sentinel://:hunter2@a:26379,b:26379/main/0", "redis+sentinel://a:26379,b:26379/main/0"),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert shown_redis(load_settings(env_file=None, redis_url=url)) == shown
