"""Where the guard's states are kept: in memory, or in a SQLite file that workers share.

A row a route: a handful of numbers, and never anything of a prompt or an answer.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec

from proxy.errors import ConfigError
from proxy.guard.budget import Spent
from proxy.guard.state import State

_VERSION = 1
_SCHEMA = "CREATE TABLE IF NOT EXISTS guard (route TEXT PRIMARY KEY, body BLOB NOT NULL)"
_BUSY_S = 5.0


@dataclass(frozen=True, slots=True)
class Row:
    """All that is kept of one route."""

    policy: str = ""
    """Fingerprint of the policy that the state is about."""
    state: State = field(default_factory=State)
    spent: Spent = field(default_factory=Spent)


Change = Callable[[Row], Row]


class Store(Protocol):
    """One row a route, changed by one caller at a time."""

    def rows(self) -> Mapping[str, Row]:
        """All rows. Raises sqlite3.Error if they can't be read."""
        ...

    def update(self, route: str, change: Change) -> tuple[Row, Row]:
        """The row before and after. Raises sqlite3.Error if it can't be written."""
        ...


class MemoryStore:
    """For one worker, until it ends."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._lock = threading.Lock()

    def rows(self) -> Mapping[str, Row]:
        return dict(self._rows)

    def update(self, route: str, change: Change) -> tuple[Row, Row]:
        with self._lock:
            before = self._rows.get(route, Row())
            self._rows[route] = change(before)
            return before, self._rows[route]


class SqliteStore:
    """For all workers and servers that name the same file; it outlives them."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError for a file that cannot be used."""
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)  # names of tenants stand in it
            with self._open() as db:
                (version,) = db.execute("PRAGMA user_version").fetchone()
                if version not in (0, _VERSION):
                    raise ConfigError([f"{path} is of another version of Precis; remove it"])
                db.execute(_SCHEMA)
                db.execute(f"PRAGMA user_version = {_VERSION}")
        except (OSError, sqlite3.Error) as exc:
            raise ConfigError(
                [f"{path}, which is for the quality guard, cannot be used: {exc}; make its folder "
                 "writable, or give another one by ledger.path"]
            ) from exc  # fmt: skip

    def rows(self) -> Mapping[str, Row]:
        with self._open() as db:
            return {route: _decode(body) for route, body in db.execute("SELECT * FROM guard")}

    def update(self, route: str, change: Change) -> tuple[Row, Row]:
        with self._open() as db, db:
            db.execute("BEGIN IMMEDIATE")
            found = db.execute("SELECT body FROM guard WHERE route = ?", (route,)).fetchone()
            before = _decode(found[0]) if found else Row()
            after = change(before)
            db.execute(
                "INSERT OR REPLACE INTO guard VALUES (?, ?)", (route, msgspec.json.encode(after))
            )
            return before, after

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)
        try:
            yield db
        finally:
            db.close()


def _decode(body: bytes) -> Row:
    return msgspec.json.decode(body, type=Row)


def open_store(file: Path | None) -> Store:
    """In that file, or in memory. Raises ConfigError if the file cannot be used."""
    return SqliteStore(file) if file is not None else MemoryStore()
