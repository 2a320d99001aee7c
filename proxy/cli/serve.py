"""``precis serve``: read the configuration, load the classifier, listen."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer

from proxy.cli.check import complain
from proxy.cli.listen import Place, listen, log_to_stderr
from proxy.compress.cache import default as default_cache
from proxy.config_file import load, shipped
from proxy.errors import ConfigError


def serve(
    config: Annotated[
        Path | None, typer.Option(help="The config.yaml; the shipped one if not given.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Overrides server.host.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Overrides server.port; 0 for any.")
    ] = None,
) -> None:
    """Serve the proxy until it is stopped."""
    try:
        loaded = load(config or shipped(), os.environ, host=host)
    except ConfigError as exc:
        complain(exc.problems)
        raise typer.Exit(2) from None
    server = loaded.config.server
    place = Place(host or server.host, server.port if port is None else port)
    log_to_stderr(server.log_level)
    log = structlog.get_logger("precis")
    for warning in loaded.warnings:
        log.warning("config", problem=warning)
    if server.workers > 1 and sys.platform == "win32":
        complain(["server.workers: workers can't share their counts on Windows; give 1"])
        raise typer.Exit(2)
    if server.workers == 1:
        code = listen(loaded.config, place, cache=default_cache(os.environ))
    else:
        from proxy.cli.workers import supervise  # not needed for one

        code = supervise(loaded.config, place, default_cache(os.environ))
    raise typer.Exit(code)
