"""``precis guard``: how far the quality guard has raised each route's rate, and its reset."""

from __future__ import annotations

import os
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from proxy.cli.check import complain, keeps
from proxy.compress.cache import default as default_cache
from proxy.config import Config
from proxy.config_file import load, shipped
from proxy.errors import ConfigError
from proxy.guard import Keeper, open_store
from proxy.guard.keeper import guarded
from proxy.guard.state import State

guard_app = typer.Typer(help="See and reset what the quality guard does.", no_args_is_help=True)

_Config = Annotated[
    Path | None, typer.Option("--config", help="The server's config.yaml; the shipped one if none.")
]


@guard_app.command("show")
def show(config: _Config = None) -> None:
    """Show each guarded route's rate, agreement and last change."""
    loaded, keeper = _opened(config)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for name in ("route", "step", "keeps", "agreement", "samples", "changes", "since"):
        table.add_column(name, overflow="fold")
    for route in guarded(loaded):
        state = keeper.states()[route.settings.name]
        table.add_row(*_row(loaded, keeper, route.settings.name, state, route.rule.top))
    Console(highlight=False, markup=False, emoji=False).print(table)


@guard_app.command("reset")
def reset(
    route: Annotated[
        str, typer.Argument(help="The route as `show` names it; all of them if left out.")
    ] = "",
    config: _Config = None,
) -> None:
    """Go back to the policy's own rate, within seconds, on all workers.

    It costs running conversations their cached prefix once, as every change does.
    """
    _, keeper = _opened(config)
    names = list(keeper.states())
    if route and route not in names:
        complain([f"there is no guarded route {route!r}; there are: {', '.join(names)}"])
        raise typer.Exit(2)
    for name in [route] if route else names:
        try:
            keeper.reset(name)
        except sqlite3.Error as exc:
            complain([f"{name} cannot be reset: {exc}; try again"])
            raise typer.Exit(1) from None
        typer.echo(f"{name} is reset.")


def _opened(file: Path | None) -> tuple[Config, Keeper]:
    from proxy.app import guard_file  # heavy, and only needed here

    try:
        config = load(file or shipped(), os.environ).config
        where = guard_file(config, default_cache(os.environ))
        if where is None:
            raise ConfigError(["no route has a guard; give one guard: {sample: 1%}"])
        return config, Keeper(config, open_store(where))
    except ConfigError as exc:
        complain(exc.problems)
        raise typer.Exit(2) from None


def _row(config: Config, keeper: Keeper, name: str, state: State, top: int) -> tuple[str, ...]:
    settings = next(r for r in config.routes if r.guard and r.name == name)
    assert settings.guard is not None  # noqa: S101 - asked for right above
    policy = config.policy(settings.policy)
    raised = policy.raised(keeper.raised(settings), settings.guard.ceiling)
    level, _ = state.at(time.time())
    agreement = "-" if state.agreement is None else f"{state.agreement:.2f}"
    since = datetime.fromtimestamp(state.since, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        name,
        f"{level} of {top}",
        keeps(raised),
        f"{agreement} (floor {settings.guard.floor:g})",
        f"{state.samples:.0f}",
        str(state.changes),
        since if state.changes else "-",
    )
