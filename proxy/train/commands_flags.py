"""Makes a command out of a settings class, so that a new field is an option by being one."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Annotated, Any, get_origin, get_type_hints

import typer
from rich.console import Console

from proxy.errors import ConfigError
from proxy.train.distill_console import exit_codes


def flagged(
    settings: type[Any], run: Callable[[Any], object], help_text: str
) -> Callable[..., None]:
    """A command that builds ``settings``, a dataclass, from options and runs with it.

    Fields without a default are arguments, the others options; their docstrings are the help. A
    dict of numbers is given as ``--source-weights qmsum=2 --source-weights debatesum=0.5``.
    """
    hints = get_type_hints(settings)
    helps = _docstrings(settings)
    parameters = [
        _parameter(one, hints[one.name], helps.get(one.name, "")) for one in fields(settings)
    ]
    pairs = {name for name, hint in hints.items() if get_origin(hint) is dict}

    def command(**given: Any) -> None:
        with exit_codes(Console(stderr=True)):
            values = {
                name: _weights(name, value) if name in pairs else value
                for name, value in given.items()
            }
            run(settings(**values))

    command.__doc__ = help_text
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


def _parameter(one: Field[Any], hint: Any, help_text: str) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    default: Any
    if get_origin(hint) is dict:
        hint, default = list[str], []
    elif one.default is not MISSING:
        default = one.default
    elif one.default_factory is not MISSING:
        default = one.default_factory()
    else:
        argument = Annotated[hint, typer.Argument(help=help_text)]
        return inspect.Parameter(one.name, kind, annotation=argument)
    option = Annotated[hint, typer.Option(help=help_text)]
    return inspect.Parameter(one.name, kind, default=default, annotation=option)


def _docstrings(settings: type[Any]) -> dict[str, str]:
    """The strings under a class's fields, first sentence, by the field's name."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(settings))).body[0]
    found: dict[str, str] = {}
    last = ""
    for node in getattr(tree, "body", []):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            last = node.target.id
        elif last and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found[last] = " ".join(str(node.value.value).split())
    return found


def _weights(name: str, given: list[str]) -> dict[str, float]:
    found = {}
    for pair in given:
        key, _, number = pair.partition("=")
        try:
            found[key] = float(number)
        except ValueError as exc:
            option = name.replace("_", "-")
            raise ConfigError([f"--{option} {pair}: give a name and a number, as a=2"]) from exc
    return found
