"""A store in one SQLite file: shared by the processes of one machine, and there after a restart."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import structlog

from proxy.compress.shared import StoreError
from proxy.sqlite_files import write_ahead

T = TypeVar("T")

log = structlog.get_logger("precis")

_OURS = 0x50524553
"""SQLite's application_id of our files, so that nobody else's is taken for one."""
_TABLE = """
CREATE TABLE IF NOT EXISTS scores (key BLOB PRIMARY KEY, used INTEGER NOT NULL, entry BLOB NOT NULL)
WITHOUT ROWID"""
_INDEX = "CREATE INDEX IF NOT EXISTS by_use ON scores (used)"
_TOGETHER = 500
"""Keys of one SELECT."""
_HOUR = 3600
"""Seconds for which a use is not noted again: reading should not have to write."""
_SPARED = 0.9
"""Share of the entries that stays when the file is full."""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class SQLiteStore:
    """Entries in a file of at most about ``max_bytes``; those used longest ago go first.

    Opened on first use, a connection a thread. A file that is damaged is set aside as
    ``NAME.damaged`` and a new one begun; a database of somebody else's is left alone.
    """

    name = "sqlite"

    def __init__(self, path: Path, max_bytes: int, timeout: float) -> None:
        """``timeout``: seconds to wait for another process that writes."""
        self._path = path
        self._max = max_bytes
        self._timeout = timeout
        self._lock = threading.Lock()
        self._own = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._age = 0
        """Grows when the file is replaced, so that no thread goes on with the old one."""
        self._file = 0
        """Which file was opened last under that name."""

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The entries that are there. Raises StoreError."""
        return self._with(lambda database: self._get(database, keys))

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        """Writes all in one transaction. Raises StoreError."""
        self._with(lambda database: self._put(database, entries))

    def close(self) -> None:
        """Close every thread's connection."""
        with self._lock:
            for database in self._opened:
                database.close()
            self._opened.clear()
            self._age += 1

    def _get(self, database: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        stale: list[bytes] = []
        fresh = int(time.time()) - _HOUR
        for start in range(0, len(keys), _TOGETHER):
            part = keys[start : start + _TOGETHER]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, used, entry FROM scores WHERE key IN ({marks})"  # noqa: S608 marks only
            for key, used, entry in database.execute(query, part):
                found[key] = entry
                if used < fresh:
                    stale.append(key)
        if stale:
            self._touch(database, stale)
        return found

    def _touch(self, database: sqlite3.Connection, keys: Sequence[bytes]) -> None:
        now = int(time.time())
        with contextlib.suppress(sqlite3.OperationalError), database:  # locked: some other time
            database.executemany(
                "UPDATE scores SET used = ? WHERE key = ?", ((now, key) for key in keys)
            )

    def _put(self, database: sqlite3.Connection, entries: Mapping[bytes, bytes]) -> None:
        now = int(time.time())
        rows = ((key, now, entry) for key, entry in entries.items())
        with database:
            database.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?, ?)", rows)
            if self._size(database) > self._max:
                self._evict(database)

    def _size(self, database: sqlite3.Connection) -> int:
        """Bytes of the pages in use."""
        pages, free, size = (
            int(database.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def _evict(self, database: sqlite3.Connection) -> None:
        share = min(_SPARED, _SPARED * self._max / self._size(database))
        (count,) = database.execute("SELECT count(*) FROM scores").fetchone()
        database.execute(
            "DELETE FROM scores WHERE key IN (SELECT key FROM scores ORDER BY used LIMIT ?)",
            (max(1, count - int(share * count)),),
        )

    def _with(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._translated():
            try:
                return work(self._connection())
            except sqlite3.DatabaseError as exc:
                if (getattr(exc, "sqlite_errorcode", 0) & 0xFF) not in _DAMAGED:
                    raise
                self._set_aside()
                return work(self._connection())

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            raise StoreError(f"{self._path}: {exc}") from exc

    def _connection(self) -> sqlite3.Connection:
        if getattr(self._own, "age", None) != self._age:
            self._own.database = self._open()
            self._own.age = self._age
        database: sqlite3.Connection = self._own.database
        return database

    def _open(self) -> sqlite3.Connection:
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            self._file = self._path.stat().st_ino
            database = sqlite3.connect(
                self._path, timeout=self._timeout, check_same_thread=False, cached_statements=16
            )
            self._opened.append(database)
        if self._owner(database) != _OURS:
            self._found(database)
        write_ahead(database, self._timeout)
        database.execute("PRAGMA synchronous = NORMAL")  # a crash may lose the latest scores
        return database

    def _found(self, database: sqlite3.Connection) -> None:
        """Make the empty file ours, as one of several processes that find it empty."""
        with database:
            database.execute("BEGIN IMMEDIATE")
            tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if tables and self._owner(database) != _OURS:
                raise StoreError(
                    f"{self._path} is somebody else's database; give another compressor.cache.path"
                )
            for statement in (_TABLE, _INDEX, f"PRAGMA application_id = {_OURS}"):
                database.execute(statement)

    def _owner(self, database: sqlite3.Connection) -> int:
        return int(database.execute("PRAGMA application_id").fetchone()[0])

    def _set_aside(self) -> None:
        """Make room for a new file where this one can't be read."""
        self.close()
        if self._path.stat().st_ino != self._file:
            return  # another process was faster
        log.warning("score store is damaged; beginning a new one", file=str(self._path))
        self._path.replace(self._path.with_name(self._path.name + ".damaged"))
        for end in ("-wal", "-shm"):
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)
