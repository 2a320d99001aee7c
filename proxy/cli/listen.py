"""One process that serves: its log, its application, its server. Knows nothing of other workers."""

from __future__ import annotations

import gc
import logging
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from proxy import tokens
from proxy.cli.check import complain
from proxy.config import Config
from proxy.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    import uvicorn

    from proxy.app import Worker

_SWITCH = 0.0005
"""Seconds after which a thread that prepares a text lets the event loop have the interpreter.

Python's own 5 ms would be spent at every step of every request beside it.
"""
_GRACE = 30
"""Seconds that requests have to end once the server is told to."""
_KEEP_ALIVE = 75
"""Seconds that an idle connection stays open: longer than clients and balancers keep theirs."""
_LEVELS = logging.getLevelNamesMapping()


@dataclass(frozen=True)
class Place:
    """Where to listen: an address, or the socket that already does."""

    host: str
    port: int
    socket: socket.socket | None = None


def listen(
    config: Config,
    place: Place,
    *,
    cache: Path | None = None,
    worker: Worker | None = None,
    ready: Callable[[], None] = lambda: None,
) -> int:
    """Serves until the process is told to stop, and returns its exit code.

    ``ready`` is called when requests are taken.
    """
    from proxy.app import build  # heavy, and of no use to who supervises

    try:
        app = build(config, cache=cache, worker=worker)
    except ConfigError as exc:
        complain(exc.problems)
        return 2
    except CheckpointError as exc:
        complain([f"compressor.model: {exc.message}"])
        return 2
    sys.setswitchinterval(_SWITCH)
    tokens.let_go()
    gc.collect()
    gc.freeze()  # what is there by now stays, and need not be looked through while requests wait
    server = _server(settings(place, app), ready)
    server.run([place.socket] if place.socket else None)
    return 0 if server.started else 3


def settings(place: Place, app: object = None) -> uvicorn.Config:
    """How uvicorn is to serve."""
    import uvicorn

    from proxy.cli.wire import Wire

    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # None where only the socket is wanted
        host=place.host,
        port=place.port,
        http=Wire,
        timeout_keep_alive=_KEEP_ALIVE,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,  # nothing here asks who the client is or how it came
        timeout_graceful_shutdown=_GRACE,
        lifespan="on",
    )


def _server(config: uvicorn.Config, ready: Callable[[], None]) -> uvicorn.Server:
    import uvicorn

    class Server(uvicorn.Server):
        """Tells when it takes requests."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready()

    return Server(config)


def log_to_stderr(level: str) -> None:
    """One line an event: readable on a terminal, JSON elsewhere."""
    numeric = _LEVELS[level.upper()]
    terminal = sys.stderr.isatty()
    render = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # uvicorn says where it listens, and why it can't, through the standard library.
    logging.basicConfig(stream=sys.stderr, level=max(numeric, logging.INFO), format="%(message)s")
    for name in ("httpx", "aiohttp", "asyncio", "LiteLLM"):
        logging.getLogger(name).setLevel(logging.WARNING)
