"""The command ``precis``: one file a subcommand, registered here."""

from __future__ import annotations

import typer

from proxy.cli.calibrate import calibrate
from proxy.cli.check import check
from proxy.cli.compress import compress
from proxy.cli.demo import demo
from proxy.cli.guard import guard_app
from proxy.cli.keys import keys_app
from proxy.cli.replay import replay
from proxy.cli.serve import serve
from proxy.cli.train import train_app

app = typer.Typer(
    help="An OpenAI-compatible proxy that shortens long prompts on their way to the model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(serve)
app.command()(check)
app.command()(demo)
app.command()(compress)
app.command()(replay)
app.command()(calibrate)
app.add_typer(guard_app, name="guard")
app.add_typer(keys_app, name="keys")
app.add_typer(train_app, name="train")


def main() -> None:
    """Entry point of ``precis`` and ``python -m proxy``."""
    app(prog_name="precis")
