"""Receipts in a SQLite file, which all workers of a server share and which outlives them.

A thread writes them in batches, so that no request waits for the disk. If the disk fails, the
latest wait in memory and are tried again; requests never notice.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from proxy.errors import ConfigError, PrecisError
from proxy.ledger.receipts import Receipt, decode, encode, not_found
from proxy.sqlite_files import write_ahead

log = structlog.get_logger("precis")

_VERSION = 1
"""Of the table below; another one is not read."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS receipts (
    id TEXT PRIMARY KEY, tenant TEXT NOT NULL, created REAL NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS receipts_by_age ON receipts (created);
"""
_GATHER_S = 0.02
"""How long receipts gather before they are written together."""
_WAITING = 10_000
"""Receipts that may wait for a disk that does not answer; then the oldest are lost."""
_RETRY_S = 1.0
_BUSY_S = 5.0
"""How long one worker waits for another's write."""
_LAST_S = 10.0
"""How long a server that stops waits for its last receipts to be written."""


class SqliteReceipts:
    """The latest receipts of all servers and workers that name the same file."""

    def __init__(
        self,
        path: Path,
        *,
        keep: int | None = 10_000,
        seconds: float | None = None,
        max_bytes: int = 512_000_000,
    ) -> None:
        """``keep`` bounds their number, ``seconds`` their age; either may be None.

        Raises ConfigError for a file that cannot be used.
        """
        self._path, self._keep, self._seconds, self._max_bytes = path, keep, seconds, max_bytes
        self._lock = threading.Lock()
        self._waiting: dict[str, Receipt] = {}
        self._writing: dict[str, Receipt] = {}
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._unpruned = 0
        _create(path)

    def add(self, receipt: Receipt) -> None:
        with self._lock:
            self._waiting[receipt.id] = receipt
            lost = len(self._waiting) > _WAITING
            if lost:
                del self._waiting[next(iter(self._waiting))]
            if self._thread is None:  # not before, for a process may be split in workers
                self._thread = threading.Thread(target=self._write, name="receipts", daemon=True)
                self._thread.start()
        self._wake.set()
        if lost:
            log.warning("receipt lost", file=str(self._path), waiting=_WAITING)

    async def get(self, receipt_id: str, tenant: str) -> Receipt:
        """See ``Receipts``. Also found are those that another worker is just about to write."""
        for pause in (0.0, 5 * _GATHER_S):
            await asyncio.sleep(pause)
            for held in (self._waiting, self._writing):
                receipt = held.get(receipt_id)
                if receipt is not None and receipt.tenant == tenant:
                    return receipt
            body = await asyncio.to_thread(self._read, receipt_id, tenant)
            if body is not None:
                return decode(zlib.decompress(body))
        raise not_found(self._kept_in_words())

    def close(self) -> None:
        """Write down what waits, as far as that takes seconds and no more."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_LAST_S)
        left = len(self._waiting) + len(self._writing)
        if left:
            log.warning("receipts lost", file=str(self._path), count=left)

    def _kept_in_words(self) -> str:
        number = f"{self._keep} at most" if self._keep is not None else ""
        age = f"{self._seconds / 86400:g} days" if self._seconds is not None else ""
        return ", ".join(filter(None, (number, age)))

    def _read(self, receipt_id: str, tenant: str) -> bytes | None:
        try:
            with _open(self._path) as db:
                row = db.execute(
                    "SELECT body FROM receipts WHERE id = ? AND tenant = ?", (receipt_id, tenant)
                ).fetchone()
        except sqlite3.Error as exc:
            raise PrecisError(
                "The receipts cannot be read at the moment; the server's log says why."
            ) from exc
        return row[0] if row else None

    def _write(self) -> None:
        """The thread: gather, write, begin anew; until the store is closed and all is written."""
        failing = False
        while True:
            self._wake.wait()
            closing = self._closing.wait(_RETRY_S if failing else _GATHER_S)
            self._wake.clear()
            with self._lock:
                self._writing, self._waiting = self._waiting, {}
            try:
                if self._writing:
                    self._store(list(self._writing.values()))
                failing = False
            except sqlite3.Error as exc:
                if not failing:
                    log.warning("receipts not written", file=str(self._path), error=str(exc))
                failing = True
                self._put_back()
            with self._lock:
                self._writing = {}
                if closing and (failing or not self._waiting):
                    return

    def _put_back(self) -> None:
        with self._lock:
            # What came meanwhile is newer, and what is too much is the oldest.
            held = {**self._writing, **self._waiting}
            self._waiting = dict(list(held.items())[-_WAITING:])
        self._wake.set()

    def _store(self, receipts: list[Receipt]) -> None:
        rows = [(r.id, r.tenant, r.created, zlib.compress(encode(r), 1)) for r in receipts]
        with _open(self._path) as db, db:
            db.executemany("INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?)", rows)
            self._unpruned += len(rows)
            if self._unpruned * 100 >= (self._keep or 10_000):
                self._unpruned = 0
                self._prune(db)

    def _prune(self, db: sqlite3.Connection) -> None:
        if self._seconds is not None:
            db.execute("DELETE FROM receipts WHERE created < ?", (time.time() - self._seconds,))
        (count,) = db.execute("SELECT count(*) FROM receipts").fetchone()
        excess = max(0, count - self._keep) if self._keep is not None else 0
        if _bytes_used(db) > self._max_bytes:
            excess = max(excess, count // 10)
        if excess:
            db.execute(
                "DELETE FROM receipts WHERE id IN "
                "(SELECT id FROM receipts ORDER BY created LIMIT ?)",
                (excess,),
            )


def _create(path: Path) -> None:
    try:
        path.touch(mode=0o600)  # hashes and names of tenants are nobody else's business
        with _open(path) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                raise ConfigError(
                    [f"ledger.path: {path} is of another version of Precis; give another file"]
                )
            write_ahead(db, _BUSY_S)
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version = {_VERSION}")
    except (OSError, sqlite3.Error) as exc:
        raise ConfigError(
            [f"ledger.path: {path} cannot be used: {exc}; give a file in a folder that can be "
             "written to"]
        ) from exc  # fmt: skip


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(path, timeout=_BUSY_S)
    try:
        db.execute("PRAGMA synchronous = NORMAL")
        yield db
    finally:
        db.close()


def _bytes_used(db: sqlite3.Connection) -> int:
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
