"""What the training stages show a person: a progress bar, a table of numbers, an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from proxy.errors import ConfigError, PrecisError

FAILED, BAD_USAGE = 1, 2
"""Exit codes."""


def progress(console: Console) -> Progress:
    """A bar with what was done, the time that is left and one note (``fields={"note": ...}``)."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    )


def show(console: Console, title: str, numbers: Mapping[str, object]) -> None:
    """A table with one line for each entry."""
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    for name, value in numbers.items():
        shown = f"{value:,.4f}" if isinstance(value, float) else str(value)
        table.add_row(name, f"{value:,}" if type(value) is int else shown)
    console.print(table)


@contextmanager
def exit_codes(console: Console) -> Iterator[None]:
    """Turns our errors into a line for a person and the exit code of the command line."""
    try:
        yield
    except PrecisError as exc:
        console.print(Text("error: ", "bold red") + Text(exc.message, "not bold default"))
        raise typer.Exit(BAD_USAGE if isinstance(exc, ConfigError) else FAILED) from exc
    except OSError as exc:
        console.print(Text("error: ", "bold red") + Text(str(exc), "not bold default"))
        raise typer.Exit(FAILED) from exc
