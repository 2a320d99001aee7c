"""A small table of numbers that all workers of a server share, a lock for each row.

One worker alone keeps it in its memory. Several map the same file; its locks are the system's, so
those of a worker that dies are free again.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CELL = 8
"""Bytes of a number, a float."""


class Table:
    """``rows`` x ``columns`` floats, all 0 at first. To be used from one thread of a process."""

    def __init__(self, rows: int, columns: int, file: Path | None = None) -> None:
        self._width = columns
        self._file = -1
        size = max(1, rows * columns) * _CELL
        if file is None:
            self._cells = memoryview(bytearray(size)).cast("d")
            return
        self._file = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._file, size)  # the same for all, so it does not matter who is first
        self._cells = memoryview(mmap.mmap(self._file, size)).cast("d")

    @contextmanager
    def row(self, index: int) -> Iterator[memoryview[float]]:
        """The cells of one row, shape ``(columns,)``, for this worker alone while it has them.

        Others hold a row for microseconds, so waiting for one is no way to block an event loop.
        """
        start = index * self._width
        cells = self._cells[start : start + self._width]
        if self._file < 0:
            yield cells
            return
        import fcntl  # Windows has none; there a server has one worker

        fcntl.lockf(self._file, fcntl.LOCK_EX, self._width * _CELL, start * _CELL)
        try:
            yield cells
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, self._width * _CELL, start * _CELL)
