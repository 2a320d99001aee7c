"""JSON lines that survive a crash: read with the line in the error, written a record at a time.

The authors' script writes its whole result anew after every document, so that a crash while
writing loses what was paid for; here a record is on the disk before the next is asked for.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from proxy.errors import ConfigError

Row = Mapping[str, Any]


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number (from 1) and object of each line that is not blank; ``.gz`` is unpacked.

    Raises ConfigError with file and line for what is not a JSON object.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, _object(line, f"{path}:{number}")
    except OSError as exc:
        raise ConfigError([f"{path}: {exc.strerror or exc}"]) from exc


def text_of(row: Row, names: tuple[str, ...], place: str) -> str:
    """The first of the named fields that ``row`` has. Raises ConfigError where none is a string."""
    for name in names:
        if isinstance(row.get(name), str):
            return str(row[name])
    raise ConfigError([f"{place}: no text in field {' or '.join(map(repr, names))}"])


def as_line(row: Row) -> bytes:
    """One line of UTF-8 with its line feed; lone surrogates are written as escapes."""
    try:
        return json.dumps(row, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(row).encode() + b"\n"


def replace(path: Path, rows: Iterable[Row]) -> None:
    """Writes a file of rows that is either the old one or the whole new one, never a part."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.writelines(map(as_line, rows))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


class Journal:
    """An append-only file of rows. One process writes it at a time; a torn last line is cut off.

    ``torn`` is how many bytes were cut off: what a crash left of a row that was never whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = path.open("ab+")
        try:
            _lock(self._file, path)
            self.torn = _repair(self._file)
        except BaseException:
            self._file.close()
            raise

    def rows(self) -> Iterator[dict[str, Any]]:
        """Everything written so far. Raises ConfigError for a damaged line in the middle."""
        return (row for _, row in read_rows(self.path))

    def append(self, row: Row) -> None:
        """Returns when the row is on the disk."""
        self._file.write(as_line(row))
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Lets go of the file, for another run to write to."""
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _object(line: bytes, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as exc:  # covers bad UTF-8 as well as bad JSON
        raise ConfigError([f"{place}: not JSON ({exc})"]) from exc
    if not isinstance(row, dict):
        raise ConfigError([f"{place}: not a JSON object"])
    return row


def _lock(file: IO[bytes], path: Path) -> None:
    if sys.platform == "win32":
        return  # an open file can't be replaced there, which is protection enough
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise ConfigError([f"{path}: another run is writing to it"]) from exc


def _repair(file: IO[bytes]) -> int:
    """Ends the last line, or cuts it off where it is no whole row; how many bytes that took."""
    size = file.seek(0, os.SEEK_END)
    tail = b""
    at = size
    while at and b"\n" not in tail:
        step = min(at, 1 << 16)
        at = file.seek(at - step)
        tail = file.read(step) + tail
    tail = tail[tail.rfind(b"\n") + 1 :]
    if not tail:
        return 0
    if _is_whole(tail):
        file.write(b"\n")
        return 0
    file.truncate(size - len(tail))
    return len(tail)


def _is_whole(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
