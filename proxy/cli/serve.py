"""``precis serve``: read the configuration, load the classifier, listen."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer

from proxy.cli.check import complain
from proxy.compress.cache import default as default_cache
from proxy.config_file import load, shipped
from proxy.errors import CheckpointError, ConfigError

_SWITCH = 0.0005
"""Seconds after which a thread that prepares a text lets the event loop have the interpreter.

Python's own 5 ms would be spent at every step of every request beside it.
"""
_LEVELS = logging.getLevelNamesMapping()


def serve(
    config: Annotated[
        Path | None, typer.Option(help="The config.yaml; the shipped one if not given.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Overrides server.host.")] = None,
    port: Annotated[int | None, typer.Option(help="Overrides server.port; 0 for any.")] = None,
) -> None:
    """Serve the proxy until it is stopped."""
    import uvicorn  # heavy, and only needed here

    from proxy.app import build  # the same

    try:
        loaded = load(config or shipped(), os.environ, host=host)
    except ConfigError as exc:
        complain(exc.problems)
        raise typer.Exit(2) from None
    server = loaded.config.server
    _log_to_stderr(server.log_level)
    log = structlog.get_logger("precis")
    for warning in loaded.warnings:
        log.warning("config", problem=warning)
    try:
        app = build(loaded.config, cache=default_cache(os.environ))
    except ConfigError as exc:
        complain(exc.problems)
        raise typer.Exit(2) from None
    except CheckpointError as exc:
        complain([f"compressor.model: {exc.message}"])
        raise typer.Exit(2) from None
    settings = uvicorn.Config(
        app,
        host=host or server.host,
        port=server.port if port is None else port,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=30,
        lifespan="on",
    )
    sys.setswitchinterval(_SWITCH)
    uvicorn.Server(settings).run()


def _log_to_stderr(level: str) -> None:
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
