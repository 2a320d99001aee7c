"""SQLite files that several processes open, and find empty, at the same moment."""

from __future__ import annotations

import multiprocessing
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from proxy.compress.store_sqlite import SQLiteStore
from proxy.guard.store import Row, SqliteStore
from proxy.ledger.receipts_sqlite import SqliteReceipts
from proxy.sqlite_files import write_ahead


def scores(file: Path) -> None:
    SQLiteStore(file, 1_000_000, timeout=5).put({b"key": b"entry"})


def receipts(file: Path) -> None:
    SqliteReceipts(file).close()


def guard(file: Path) -> None:
    SqliteStore(file).update("chat", lambda row: row or Row())


def together(use: Callable[[Path], None], file: Path, gate: Any) -> None:
    gate.wait()
    use(file)


@pytest.mark.parametrize("use", [scores, receipts, guard])
def test_workers_that_start_together_share_a_new_file(
    use: Callable[[Path], None], tmp_path: Path
) -> None:
    fork = multiprocessing.get_context("forkserver")  # a clean process, whatever runs in this one
    fork.set_forkserver_preload([__name__])
    for turn in range(15):  # about every second turn failed before they waited for one another
        gate = fork.Barrier(6)
        started = [
            fork.Process(target=together, args=(use, tmp_path / f"{turn}.db", gate))
            for _ in range(6)
        ]
        for process in started:
            process.start()
        for process in started:
            process.join(60)
        assert [process.exitcode for process in started] == [0] * 6


def test_a_file_that_stays_locked_is_given_up_in_time(tmp_path: Path) -> None:
    file = tmp_path / "locked.db"
    with closing(sqlite3.connect(file)) as one, closing(sqlite3.connect(file, timeout=0)) as two:
        one.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            write_ahead(two, 0.2)
        assert 0.2 <= time.monotonic() - started < 5
        one.rollback()
        write_ahead(two, 0.2)
        assert two.execute("PRAGMA journal_mode").fetchone() == ("wal",)
