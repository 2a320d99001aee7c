"""Stores for tests: one that does as it is told, and a real Redis."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from proxy.compress.shared import StoreError


class FakeStore:
    """A dictionary that can be down, slow, or damaged."""

    name = "fake"

    def __init__(self) -> None:
        self.entries: dict[bytes, bytes] = {}
        self.down = False
        self.let = threading.Event()
        self.let.set()
        self.asked = 0
        self.closed = False

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        self._answer()
        return {key: self.entries[key] for key in keys if key in self.entries}

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        self._answer()
        self.entries.update(entries)

    def close(self) -> None:
        self.closed = True

    def _answer(self) -> None:
        self.asked += 1
        assert self.let.wait(30)
        if self.down:
            raise StoreError("fake: down")


def redis_is_there() -> bool:
    return shutil.which("redis-server") is not None


@contextmanager
def redis_server(folder: Path, port: int | None = None) -> Iterator[int]:
    """A real server on a free port, without a file of its own."""
    port = port or free_port()
    command = ["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(1000):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.01)
            yield port
        finally:
            process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
