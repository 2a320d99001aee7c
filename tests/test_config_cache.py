"""``compressor.cache``: what it takes, what it refuses, and what it never shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cli.check import _cache
from proxy.config_compressor import CacheSettings
from proxy.config_file import load
from proxy.errors import ConfigError

URL = "redis://:hidden-password@host:6379/0"


def loaded(folder: Path, cache: str, environ: dict[str, str] | None = None) -> CacheSettings:
    file = folder / "config.yaml"
    file.write_text(f"compressor:\n  cache: {cache}\n")
    return load(file, environ or {}).config.compressor.cache


def test_the_address_may_come_from_the_environment_and_is_never_shown(tmp_path: Path) -> None:
    given = "{store: redis, url: os.environ/REDIS_URL}"
    cache = loaded(tmp_path, given, {"REDIS_URL": URL})
    assert cache.url is not None and cache.url.get_secret_value() == URL
    assert "hidden" not in repr(cache) + str(cache) + _cache(cache)


@pytest.mark.parametrize(
    "cache,words",
    [
        ("{store: redis}", "url: None is not enough for store: redis"),
        (f"{{url: '{URL}'}}", "url: this value (not shown) is for store: redis alone"),
        ("{store: redis, url: 'http://a:hidden@b'}", "is no address of Redis"),
        ("{store: sqlit}", "store"),
        ("{memory_mb: -1}", "give megabytes, e.g. 16"),
        ("{timeout_ms: 0}", "give milliseconds, e.g. 50"),
        ("{scope: all}", "scope"),
        ("{memory: 3}", "did you mean 'memory_mb'"),
    ],
)
def test_a_wrong_setting_is_told_with_a_remedy(tmp_path: Path, cache: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, cache)
    told = "\n".join(caught.value.problems)
    assert words in told and "hidden" not in told and "config.yaml:2" in told


@pytest.mark.parametrize(
    "settings,words",
    [
        ({}, "16 MB of memory and 256 MB of a file in the user's cache directory, each tenant's"),
        ({"store": "none", "scope": "shared"}, "scores in 16 MB of memory, shared by all"),
        ({"store": "redis", "url": URL, "memory_mb": 0}, "scores in 256 MB of Redis, each"),
        ({"path": "s.db", "max_mb": 8}, "8 MB of s.db"),
        ({"store": "none", "memory_mb": 0}, "off"),
    ],
)
def test_what_is_kept_is_told_in_words(settings: dict[str, object], words: str) -> None:
    assert words in _cache(CacheSettings.model_validate(settings))
