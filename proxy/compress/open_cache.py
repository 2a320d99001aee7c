"""Opens what the configuration says about the cache: memory, and a store behind it."""

from __future__ import annotations

from pathlib import Path

from proxy.compress.lru import Memory
from proxy.compress.score_cache import ScoreCache
from proxy.compress.shared import Shared, Store, StoreError
from proxy.compress.store_sqlite import SQLiteStore
from proxy.config_compressor import CacheSettings
from proxy.errors import ConfigError

_MB = 1_000_000
_FILE = "scores.sqlite"


def open_cache(settings: CacheSettings, fingerprint: str, folder: Path | None) -> ScoreCache | None:
    """The cache for scores of that ``fingerprint``; None if it is off. Half of the memory is its.

    ``folder`` is where a file without a path goes; without one such a file is not opened. Raises
    ConfigError if the client of a store is not installed. A store that does not answer is no
    error, then or later.
    """
    if not settings.on:
        return None
    store = _store(settings, folder)
    shared = Shared(store, settings.timeout_ms / 1000) if store else None
    memory: Memory[bytes] = Memory(int(settings.memory_mb * _MB) // 2)
    return ScoreCache(fingerprint, memory, shared, isolated=settings.scope == "tenant")


def _store(settings: CacheSettings, folder: Path | None) -> Store | None:
    timeout, size = settings.timeout_ms / 1000, int(settings.max_mb * _MB)
    if settings.store == "redis" and settings.url is not None:
        return _redis(settings.url.get_secret_value(), size, timeout, settings.ttl_hours)
    if settings.store == "sqlite" and (settings.path or folder):
        path = Path(settings.path).expanduser() if settings.path else Path(folder or "") / _FILE
        return SQLiteStore(path, size, timeout)
    return None


def _redis(url: str, size: int, timeout: float, hours: float) -> Store:
    try:
        from proxy.compress.store_redis import RedisStore  # an extra of its own
    except ImportError as exc:
        raise ConfigError(
            ["compressor.cache.store: redis needs its client: pip install 'precis-proxy[redis]'"]
        ) from exc
    try:
        return RedisStore(url, size, timeout, max(1, int(3600 * hours)))
    except StoreError as exc:
        raise ConfigError([f"compressor.cache.url: {exc}"]) from None
