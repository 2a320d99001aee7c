"""``precis keys``: make a tenant's key, show it once, and give the lines for config.yaml."""

from __future__ import annotations

import json
import re
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from proxy.tenants import new_key

keys_app = typer.Typer(help="Make the keys of tenants.", no_args_is_help=True)

_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_YAML_WORDS = frozenset(("true", "false", "null"))


@keys_app.callback()
def _keys() -> None:
    """Make the keys of tenants."""


@keys_app.command("new")
def new(
    tenant: Annotated[str, typer.Argument(help="The tenant's name, as in config.yaml.")],
) -> None:
    """Make a key for TENANT. It is printed once and kept nowhere."""
    if not tenant.strip() or not tenant.isprintable():
        Console(stderr=True).print("a tenant needs a name of printable characters", style="red")
        raise typer.Exit(2)
    key, hashed = new_key()
    notes = Console(stderr=True, highlight=False, markup=False, emoji=False)
    out = Console(highlight=False)
    notes.print(f"The key of {tenant!r}. It is shown this once; give it to them:")
    # Alone on standard output in its first line, so that a script can take it: | head -1
    out.print(Text(key, style="bold green"), soft_wrap=True)
    notes.print("\nFor config.yaml, which keeps only its hash:")
    out.print(Text(yaml_lines(tenant, hashed)), soft_wrap=True)


def yaml_lines(tenant: str, hashed: str) -> str:
    """What to paste: the tenant with its key under ``tenants``."""
    plain = _PLAIN_NAME.fullmatch(tenant) and tenant.lower() not in _YAML_WORDS
    name = tenant if plain else json.dumps(tenant, ensure_ascii=False)
    return f'tenants:\n  {name}:\n    keys: ["{hashed}"]'
