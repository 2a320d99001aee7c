"""Receipts in a file: shared by workers, kept over restarts, bounded, never in a request's way."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from proxy.config_server import LedgerSettings
from proxy.errors import ConfigError, NotFound
from proxy.ledger import Receipt, open_receipts
from proxy.ledger import receipts_sqlite as module
from proxy.ledger.receipts_sqlite import SqliteReceipts
from tests.e2e.serving import until
from tests.ledger.test_receipts import receipt


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "receipts.db"


@pytest.fixture
def store(file: Path) -> Iterator[SqliteReceipts]:
    opened = SqliteReceipts(file)
    yield opened
    opened.close()


def rows(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as db:
        return [row[0] for row in db.execute("SELECT id FROM receipts ORDER BY created, id")]


def fill(file: Path, *receipts: Receipt, **bounds: float) -> list[str]:
    """What is left in the file after a store with these bounds took these receipts."""
    store = SqliteReceipts(file, **bounds)  # type: ignore[arg-type]
    for one in receipts:
        store.add(one)
    store.close()
    return rows(file)


async def test_a_receipt_is_found_at_once_and_after_a_restart(file: Path) -> None:
    store = SqliteReceipts(file)
    whole = replace(receipt(spans=50), ms={"score": 1.5}, status=200)
    store.add(whole)
    assert await store.get("req_1", "acme") == whole
    store.close()
    again = SqliteReceipts(file)
    assert await again.get("req_1", "acme") == whole
    again.close()


async def test_another_worker_finds_it_even_before_it_is_written(
    store: SqliteReceipts, file: Path
) -> None:
    other = SqliteReceipts(file)
    asked = asyncio.create_task(other.get("req_1", "acme"))
    await asyncio.sleep(0)
    store.add(receipt())
    assert await asked == receipt()


@pytest.mark.parametrize("name,tenant", [("req_1", "globex"), ("req_1", ""), ("req_2", "acme")])
@pytest.mark.parametrize("written", [False, True])
async def test_others_learn_nothing_of_it(
    store: SqliteReceipts, file: Path, name: str, tenant: str, written: bool
) -> None:
    store.add(receipt())
    if written:
        until(lambda: rows(file))
    with pytest.raises(NotFound) as refused:
        await store.get(name, tenant)
    assert "acme" not in refused.value.message and name not in refused.value.message


async def test_a_later_one_of_the_same_id_takes_the_earlier_ones_place(
    store: SqliteReceipts, file: Path
) -> None:
    for status in (None, 200, 201):
        store.add(replace(receipt(), status=status))
        if status == 200:
            until(lambda: rows(file))
    store.close()
    assert (await store.get("req_1", "acme")).status == 201
    assert rows(file) == ["req_1"]


def test_the_latest_stay(file: Path) -> None:
    some = [replace(receipt(f"req_{i:03}"), created=float(i)) for i in range(300)]
    assert fill(file, *some, keep=10) == [f"req_{i:03}" for i in range(290, 300)]


def test_those_of_the_last_days_stay(file: Path) -> None:
    now = time.time()
    old = [replace(receipt(f"old_{i}"), created=now - 100) for i in range(150)]
    assert fill(file, *old, receipt_of(now), seconds=50, keep=None) == ["new"]


def receipt_of(created: float) -> Receipt:
    return replace(receipt("new"), created=created)


def test_the_oldest_go_where_the_file_is_too_large(file: Path) -> None:
    some = [replace(receipt(f"req_{i:03}"), created=float(i)) for i in range(200)]
    left = fill(file, *some, max_bytes=10_000)
    assert left == [f"req_{i:03}" for i in range(20, 200)]


async def test_a_file_that_is_locked_holds_nobody_up(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BUSY_S", 0.01)
    monkeypatch.setattr(module, "_RETRY_S", 0.05)
    store = SqliteReceipts(file)
    with closing(sqlite3.connect(file)) as other, capture_logs() as logs:
        other.execute("BEGIN EXCLUSIVE")
        store.add(receipt())
        until(lambda: logs)
        store.add(receipt("req_2"))
        assert await store.get("req_1", "acme") == receipt()
        other.rollback()
        until(lambda: len(rows(file)) == 2)
    store.close()
    assert [line["event"] for line in logs] == ["receipts not written"]


def test_of_too_many_that_wait_the_oldest_are_lost(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WAITING", 3)
    monkeypatch.setattr(module, "_GATHER_S", 0.2)
    with capture_logs() as logs:
        left = fill(file, *(receipt(f"req_{i}") for i in range(5)))
    assert left == ["req_2", "req_3", "req_4"]
    assert [line["event"] for line in logs] == ["receipt lost"] * 2


def test_many_processes_write_into_one_file(file: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from proxy.ledger.receipts_sqlite import SqliteReceipts\n"
        "from tests.ledger.test_receipts import receipt\n"
        "store = SqliteReceipts(pathlib.Path(sys.argv[1]))\n"
        "for i in range(100): store.add(receipt(f'{sys.argv[2]}_{i}'))\n"
        "store.close()\n"
    )
    root = Path(__file__).parents[2]
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(file), name], cwd=root) for name in "ab"
    ]
    assert [process.wait(60) for process in started] == [0, 0]
    assert len(rows(file)) == 200


def test_nobody_else_may_read_the_file(store: SqliteReceipts, file: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["a folder", "no database", "another version", "no folder"])
def test_a_file_that_cannot_be_used_stops_the_start(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "x" / "y" if kind == "no folder" else tmp_path / "x"
    if kind == "a folder":
        file.mkdir()
    elif kind == "no database":
        file.write_text("words of another kind" * 100)
    elif kind == "another version":
        with closing(sqlite3.connect(file)) as db:
            db.execute("PRAGMA user_version = 7")
    settings = LedgerSettings(store="sqlite", path=str(file))
    with pytest.raises(ConfigError) as refused:
        open_receipts(settings)
    assert "ledger.path" in refused.value.problems[0] and "give" in refused.value.problems[0]
