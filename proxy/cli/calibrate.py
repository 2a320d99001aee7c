"""``precis calibrate``: measure this device once, and find from which size compression pays."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from proxy.cli.check import complain, keeps
from proxy.compress import Compressor
from proxy.compress.cache import default as default_cache
from proxy.compress.measure import speed
from proxy.config import Config
from proxy.config_compressor import Calibration
from proxy.config_edit import with_value
from proxy.config_file import load, shipped
from proxy.config_upstreams import ModelEntry
from proxy.config_yaml import Place
from proxy.errors import CheckpointError, ConfigError
from proxy.prices import price_of
from proxy.routing.breakeven import pays_over


def calibrate(
    config: Annotated[
        Path | None, typer.Option(help="The config.yaml; the shipped one if not given.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write what was found into the config.yaml.")
    ] = False,
) -> None:
    """Measure how fast this device compresses; say per route from which size that pays.

    Run it while the device has nothing else to do. Nothing is measured again while serving.
    """
    try:
        if write and config is None:
            raise ConfigError(["--write: give your own file with --config"])
        file = config or shipped()
        loaded = load(file, os.environ).config
        device = _measured(loaded)
        found = list(_break_evens(loaded, device))
        _show(Console(highlight=False, markup=False, emoji=False), device, found)
        values = dict(_values(loaded, device, found))
        if write:
            _write(file, values)
            typer.echo(f"Written to {file}.")
        else:
            typer.echo("To keep this, run it with --write, or set:")
            for place, value in values.items():
                typer.echo(f"  {'.'.join(map(str, place))}: {value}")
    except ConfigError as exc:
        complain(exc.problems)
        raise typer.Exit(2) from None
    except CheckpointError as exc:
        complain([exc.message])
        raise typer.Exit(2) from None


@dataclass(frozen=True)
class _BreakEven:
    """From which size on compression pays for one model of one route."""

    route: int
    model: str
    policy: str
    rate: str
    price: float | None
    tokens: int | None
    """None: at no size."""


def _measured(config: Config) -> Calibration:
    settings = config.compressor
    compressor = Compressor.load(
        settings.model,
        engine=settings.engine,
        precision=settings.precision,
        threads=settings.threads,
        cache=default_cache(os.environ),
    )
    sample = (files("proxy.cli") / "demo_data" / "meeting.txt").read_text("utf-8")
    tokens_per_second, fixed_ms = speed(compressor, sample)
    return config.calibration.model_copy(
        update={
            "model": settings.model,
            "tokens_per_second": float(round(tokens_per_second)),
            "fixed_ms": round(fixed_ms, 1),
            "measured": time.strftime("%Y-%m-%d"),
        }
    )


def _break_evens(config: Config, device: Calibration) -> Iterator[_BreakEven]:
    for index, entry in enumerate(config.routes):
        policy = config.policy(entry.policy)
        if policy.threshold is not None:
            continue  # its rate hangs on the text
        for model in _models_of(config, index):
            price = price_of(model)
            tokens = pays_over(policy, price.input if price else 0.0, device)
            yield _BreakEven(
                index,
                model.model_name,
                entry.policy,
                keeps(policy),
                price.input if price else None,
                tokens,
            )


def _models_of(config: Config, index: int) -> Iterator[ModelEntry]:
    """One entry of each model that gets to the route; those that answer themselves are left out."""
    match = config.routes[index].match
    earlier = [r.match for r in config.routes[:index] if r.match.tenant in ("*", match.tenant)]
    seen: set[str] = set()
    for entry in config.model_list:
        name = entry.model_name
        taken = any(fnmatchcase(name, other.model) for other in earlier)
        if fnmatchcase(name, match.model) and not taken and name not in seen:
            seen.add(name)
            if entry.litellm_params.provider != "echo":
                yield entry


def _values(
    config: Config, device: Calibration, found: list[_BreakEven]
) -> Iterator[tuple[Place, str]]:
    """What is to be kept, by its place in the file. A route takes the largest of its models."""
    for name in Calibration.model_fields:
        value = getattr(device, name)
        yield ("calibration", name), f'"{value}"' if isinstance(value, str) else f"{value:g}"
    for index in range(len(config.routes)):
        mine = [one for one in found if one.route == index]
        if mine:
            sizes = [one.tokens for one in mine if one.tokens is not None]
            yield ("routes", index, "pays_over"), str(max(sizes)) if sizes else "never"


def _show(console: Console, device: Calibration, found: list[_BreakEven]) -> None:
    console.print(
        f"{device.model} reads {device.tokens_per_second:,.0f} tokens/s here, and takes "
        f"{device.fixed_ms:g} ms a text besides.\n"
        f"An hour of waiting costs ${device.value_of_time:g}; the upstream reads "
        f"{device.prefill_tokens_per_second:,.0f} tokens/s (calibration.value_of_time, "
        "calibration.prefill_tokens_per_second).\n",
        soft_wrap=True,
    )
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for name in ("route", "model", "policy", "keeps", "$ per million", "pays from"):
        table.add_column(name, overflow="fold")
    for one in found:
        price = f"{one.price * 1e6:g}" if one.price is not None else "unknown: time alone"
        pays = Text("never", style="yellow") if one.tokens is None else f"{one.tokens:,} tokens"
        table.add_row(str(one.route), one.model, one.policy, one.rate, price, pays)
    console.print(table)
    for index in sorted({one.route for one in found if one.tokens is None}):
        if any(one.tokens is not None for one in found if one.route == index):
            console.print(
                f"routes.{index}: pays for some of its models only; give the others a route "
                "of their own.",
                style="yellow",
                soft_wrap=True,
            )
    console.print()


def _write(file: Path, values: dict[Place, str]) -> None:
    """Puts the values into the file, whole or not at all, if it still loads then."""
    text = file.read_bytes().decode("utf-8-sig")
    for place, value in reversed(values.items()):  # each goes before the others
        text = with_value(text, place, value)
    with tempfile.NamedTemporaryFile("wb", dir=file.parent, delete=False) as scratch:
        made = Path(scratch.name)
        try:
            scratch.write(text.encode())
            scratch.flush()
            load(made, os.environ)
            made.chmod(file.stat().st_mode)
            made.replace(file)
        finally:
            made.unlink(missing_ok=True)
