"""What every SQLite file needs that several processes open at the same moment."""

from __future__ import annotations

import sqlite3
import time

_PAUSE_S = 0.01


def write_ahead(db: sqlite3.Connection, seconds: float) -> None:
    """Give the file a write-ahead log, waiting for other processes up to ``seconds``.

    SQLite's own time-out does not hold here: where two switch one file at once, it tells the
    second at once that the file is locked. Raises sqlite3.Error.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)
