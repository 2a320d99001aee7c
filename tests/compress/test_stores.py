"""The shared stores as they are used: processes side by side, restarts, damage, no room."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.compress import open_cache
from proxy.compress.shared import StoreError
from proxy.compress.store_redis import RedisStore
from proxy.compress.store_sqlite import SQLiteStore
from proxy.config_compressor import CacheSettings
from proxy.errors import ConfigError
from tests.compress.stores import redis_is_there, redis_server

Needs = Callable[[bool, str], None]
ROOT = Path(__file__).parents[2]
MB = 1_000_000


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def filled(count: int, start: int = 0) -> dict[bytes, bytes]:
    return {key(n): b"%d" % n * 50 for n in range(start, start + count)}


def sqlite(file: Path, size: int = MB) -> SQLiteStore:
    return SQLiteStore(file, size, 5)


def test_a_file_is_there_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "new" / "scores.sqlite"
    store = sqlite(file)
    assert store.get([key(1)]) == {}
    store.put(filled(1200))
    store.close()
    again = sqlite(file)
    assert again.get([*filled(1200), key(9999)]) == filled(1200)
    again.close()
    assert file.stat().st_mode & 0o077 == 0


_OTHER = """
import sys
from pathlib import Path
from proxy.compress.store_sqlite import SQLiteStore
store = SQLiteStore(Path(sys.argv[1]), 100_000_000, 30)
first = int(sys.argv[2])
for start in range(first, first + 2000, 100):
    store.put({n.to_bytes(16, "big"): b"%d" % n * 50 for n in range(start, start + 100)})
store.close()
"""


def test_processes_share_a_file_and_write_at_once(tmp_path: Path) -> None:
    file = tmp_path / "scores.sqlite"
    command = [sys.executable, "-c", _OTHER, str(file)]
    others = [subprocess.Popen([*command, str(n * 10_000)], cwd=ROOT) for n in range(2)]
    store = sqlite(file, 100 * MB)
    store.put(filled(10, 50_000))
    assert [other.wait(120) for other in others] == [0, 0]
    everything = filled(2000) | filled(2000, 10_000) | filled(10, 50_000)
    assert store.get(list(everything)) == everything
    store.close()


def test_a_full_file_lets_go_of_what_was_used_longest_ago(tmp_path: Path) -> None:
    file = tmp_path / "scores.sqlite"
    store = sqlite(file, 400_000)
    old, others = filled(20), filled(1000, 100)
    store.put(old | others)
    with sqlite3.connect(file) as database:
        database.execute("UPDATE scores SET used = 10")
        database.executemany("UPDATE scores SET used = 5 WHERE key = ?", [(k,) for k in old])
    database.close()
    assert len(store.get([key(7)])) == 1  # used just now
    fresh = filled(600, 10_000)
    store.put(fresh)
    left = store.get([*old, *others, *fresh])
    assert set(left) & set(old) == {key(7)}
    assert fresh.keys() <= left.keys() and 900 < len(left) < 1400
    store.close()
    assert file.stat().st_size < 700_000


@pytest.mark.parametrize("opened", [True, False])
def test_a_damaged_file_is_set_aside(tmp_path: Path, opened: bool) -> None:
    file = tmp_path / "scores.sqlite"
    store = sqlite(file)
    store.put(filled(1000))
    store.close()  # and so all of it is in the file
    store = sqlite(file)
    if opened:
        assert store.get([key(1)])
    file.write_bytes(b"\xff" * file.stat().st_size)
    assert store.get(list(filled(1000))) == {}
    store.put(filled(10))
    store.close()
    fresh = sqlite(file)
    assert fresh.get(list(filled(100))) == filled(10)
    fresh.close()
    assert (tmp_path / "scores.sqlite.damaged").is_file()


def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "theirs.sqlite"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE bills (amount)")
    database.close()
    before = file.read_bytes()
    store = sqlite(file)
    with pytest.raises(StoreError, match="somebody else's"):
        store.put(filled(1))
    store.close()
    assert file.read_bytes() == before


def test_a_place_that_cannot_be_written_to_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="file"):
        sqlite(tmp_path / "file" / "scores.sqlite").get([key(1)])


def test_redis_keeps_entries_for_all(tmp_path: Path, needs: Needs) -> None:
    needs(redis_is_there(), "redis-server")
    with redis_server(tmp_path) as port:
        one, other = (RedisStore(f"redis://127.0.0.1:{port}/0", MB, 5, 60) for _ in range(2))
        one.put(filled(500))
        assert other.get([*filled(500), key(9999)]) == filled(500)
        assert 0 < other._client.ttl(b"precis:score:" + key(1)) <= 60
        one.close()
        other.close()


def test_redis_keeps_to_its_bound(tmp_path: Path, needs: Needs) -> None:
    needs(redis_is_there(), "redis-server")
    with redis_server(tmp_path) as port:
        store = RedisStore(f"redis://127.0.0.1:{port}/0", 600_000, 5, 60)
        for start in range(0, 3000, 100):
            store.put(filled(100, start))
        found = store.get(list(filled(3000)))
        assert 900 <= len(found) <= 1000
        assert set(filled(100, 2900)) <= set(found)
        store.close()


def test_redis_that_is_gone_is_a_store_error_without_its_address(
    tmp_path: Path, needs: Needs
) -> None:
    needs(redis_is_there(), "redis-server")
    with redis_server(tmp_path) as port:
        store = RedisStore(f"redis://:secret@127.0.0.1:{port}/0", MB, 0.5, 60)
    for ask in (lambda: store.get([key(1)]), lambda: store.put(filled(1))):
        with pytest.raises(StoreError) as failed:
            ask()
        assert "secret" not in str(failed.value)
    store.close()


def test_redis_is_found_again_after_its_restart(tmp_path: Path, needs: Needs) -> None:
    needs(redis_is_there(), "redis-server")
    with redis_server(tmp_path) as port:
        store = RedisStore(f"redis://127.0.0.1:{port}/0", MB, 5, 60)
        store.put(filled(1))
    with redis_server(tmp_path, port):
        assert store.get([key(0)]) == {}
        store.put(filled(1))
        assert store.get([key(0)]) == filled(1)
        store.close()


@pytest.mark.parametrize("url", ["redis://[", "redis://host:port/x"])
def test_a_redis_address_that_is_none_stops_the_start(url: str) -> None:
    with pytest.raises(ConfigError, match=r"compressor.cache.url"):
        open_cache.open_cache(CacheSettings(store="redis", url=url), "f", None)


def test_the_cache_is_off_where_nothing_is_to_be_kept() -> None:
    assert open_cache.open_cache(CacheSettings(store="none", memory_mb=0), "f", None) is None
    cache = open_cache.open_cache(CacheSettings(store="none"), "f", None)
    assert cache is not None
    cache.close()
