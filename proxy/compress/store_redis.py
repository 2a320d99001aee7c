"""A store in Redis, shared by machines; the only file that imports its client, extra [redis]."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from proxy.compress.shared import StoreError

_PREFIX = b"precis:score:"
_INDEX = b"precis:scores"
"""A sorted set of all keys by the time of writing."""
_ENTRY = 600
"""Bytes that an entry takes in Redis with its place in the index, about."""
_SPARED = 0.9
"""Share of the entries that stays when there are too many."""


class RedisStore:
    """Entries as strings, at most ``max_bytes`` of them; those written longest ago go first.

    Every entry ends after ``ttl`` seconds too, so that nothing is left when nobody writes any more.
    """

    name = "redis"

    def __init__(self, url: str, max_bytes: int, timeout: float, ttl: int) -> None:
        """``url`` as Redis's clients write it; ``timeout``: seconds for each answer."""
        self._most = max(1, max_bytes // _ENTRY)
        self._ttl = ttl
        with self._translated():
            # Its types name all that it may answer with any settings.
            self._client: Any = redis.Redis.from_url(
                url,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                retry=Retry(NoBackoff(), 1),  # a connection that was closed while nobody used it
                health_check_interval=0,
            )

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The entries that are there, in one round trip. Raises StoreError."""
        with self._translated():
            found = self._client.mget([_PREFIX + key for key in keys])
        return {key: entry for key, entry in zip(keys, found, strict=True) if entry is not None}

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        """Writes all in one round trip. Raises StoreError."""
        now = time.time()
        with self._translated(), self._client.pipeline(transaction=False) as pipe:
            for key, entry in entries.items():
                pipe.set(_PREFIX + key, entry, ex=self._ttl)
            pipe.zadd(_INDEX, dict.fromkeys(entries, now))
            pipe.zremrangebyscore(_INDEX, "-inf", now - self._ttl)
            pipe.expire(_INDEX, self._ttl)
            pipe.zcard(_INDEX)
            count = int(pipe.execute()[-1])
            if count > self._most:
                self._evict(count - int(_SPARED * self._most))

    def _evict(self, number: int) -> None:
        oldest = self._client.zpopmin(_INDEX, number)
        self._client.delete(*(_PREFIX + key for key, _ in oldest))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        # Not the client's own words, which may hold the address and what is secret in it.
        try:
            yield
        except (redis.RedisError, OSError) as exc:
            raise StoreError(f"redis: {type(exc).__name__}") from exc
        except ValueError as exc:
            raise StoreError("redis: the url is none; write redis://host:6379/0") from exc
