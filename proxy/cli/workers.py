"""Several workers on one socket: started, watched, replaced when they die, stopped together.

A worker is a fresh process that gets the parsed configuration and the listening socket. This one
loads no classifier and takes no requests.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

import structlog

from proxy.cli.listen import Place, listen, log_to_stderr, settings
from proxy.config import Config

log = structlog.get_logger("precis")

_LOOK = 0.2
"""Seconds between two looks for a signal."""
_LAST = 40.0
"""Seconds that workers have to end; more than their requests have."""
_SOON = 10.0
"""Seconds after its start within which a worker's death counts as one of a row."""
_PAUSES = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds until its place is taken again, by how many deaths there were in that row."""
_SPAWN = multiprocessing.get_context("spawn")  # a fork would copy the locks of threads


@dataclass(frozen=True)
class Job:
    """What a worker is given."""

    config: Config
    place: Place
    cache: Path
    folder: Path
    """Where all workers keep what they share."""
    index: int


class Seat:
    """One of the workers' places, and who has it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.process: BaseProcess | None = None
        self.ready = False
        self.free_until = 0.0
        self._line: Connection | None = None
        self._started = 0.0
        self._deaths = 0

    def fill(self) -> None:
        """Start a worker. It says on the line that it is ready, and ends when the line breaks."""
        self._line, theirs = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=_work, args=(self.job, theirs))
        self.process.start()
        theirs.close()
        self.ready, self._started = False, time.monotonic()

    def hear(self) -> None:
        """Notes that the worker is ready."""
        if self._line and not self.ready and self._line.poll():
            try:
                self.ready = bool(self._line.recv())
            except EOFError:  # it has ended, which its exit code will tell
                self._line = None

    def vacate(self) -> int:
        """Clear away a worker that has ended; its exit code."""
        assert self.process is not None and self.process.exitcode is not None  # noqa: S101
        code, pid = self.process.exitcode, self.process.pid
        for left in self.job.folder.glob(f"gauge_live*_{pid}.db"):
            left.unlink(missing_ok=True)  # what is no longer the case, as prometheus_client asks
        now = time.monotonic()
        self._deaths = self._deaths + 1 if now - self._started < _SOON else 0
        self.free_until = now + _PAUSES[min(self._deaths, len(_PAUSES) - 1)]
        self.process = None
        return code


def supervise(config: Config, place: Place, cache: Path) -> int:
    """Serve with ``config.server.workers`` workers until told to stop; the exit code."""
    bound = settings(place).bind_socket()  # exits with 1 and says why if it can't
    stop = threading.Event()

    def told(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    with bound, tempfile.TemporaryDirectory(prefix="precis-") as folder:
        # prometheus_client looks for it when it is imported, which the workers do.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        job = Job(config, replace(place, socket=bound), cache, Path(folder), 0)
        seats = [Seat(replace(job, index=index)) for index in range(config.server.workers)]
        try:
            return _watch(seats, stop.is_set)
        finally:
            _end(seats)


def _watch(seats: list[Seat], stopped: Callable[[], bool]) -> int:
    for seat in seats:
        seat.fill()
    all_ready = False
    while not stopped():
        wait([seat.process.sentinel for seat in seats if seat.process], _LOOK)
        for seat in seats:
            seat.hear()
            code = _look_after(seat)
            if code is not None and not all_ready and not stopped():
                return (
                    code if code > 0 else 3
                )  # it has said why, and none of the others would fare better
        if not all_ready and all(seat.ready for seat in seats):
            all_ready = True
            log.info("all workers are ready", workers=len(seats))
    return 0


def _look_after(seat: Seat) -> int | None:
    """Takes the place again when it is time; the exit code of a worker that has just ended."""
    code = None
    if seat.process is not None and seat.process.exitcode is not None:
        code = seat.vacate()
        log.warning("a worker has ended", worker=seat.job.index, code=code)
    elif seat.process is None and time.monotonic() >= seat.free_until:
        seat.fill()
    return code


def _end(seats: list[Seat]) -> None:
    running = [seat.process for seat in seats if seat.process is not None]
    for process in running:
        process.terminate()
    until = time.monotonic() + _LAST
    for process in running:
        process.join(max(0.0, until - time.monotonic()))
        if process.exitcode is None:
            process.kill()
            process.join()


def _work(job: Job, line: Connection) -> None:
    """A worker's whole life."""
    from proxy.app import Worker  # heavy, and of no use to who supervises

    log_to_stderr(job.config.server.log_level)
    threading.Thread(target=_end_with, args=(line,), daemon=True).start()
    code = listen(
        job.config,
        job.place,
        cache=job.cache,
        worker=Worker(job.index, job.folder),
        ready=lambda: line.send(True),
    )
    sys.exit(code)


def _end_with(line: Connection) -> None:
    """Ends this worker when its supervisor is gone, however that ended."""
    try:
        line.recv()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)
