"""``precis keys new``: the key once, and lines that can be pasted."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli.keys import keys_app
from proxy.config_file import load
from proxy.tenants import Tenants


@pytest.mark.parametrize(
    "name", ["acme", "a-b_2", "true", "null", "5", "a: b", '"quoted"', "Zoë", "a[b]"]
)
def test_the_printed_lines_let_the_printed_key_in(tmp_path: Path, name: str) -> None:
    result = CliRunner().invoke(keys_app, ["new", name])
    assert result.exit_code == 0
    key, lines = result.stdout.split("\n", 1)
    path = tmp_path / "config.yaml"
    path.write_text(lines)
    tenant = Tenants(load(path, {}).config).authenticate(f"Bearer {key}")
    assert tenant is not None
    assert tenant.name == name


def test_the_key_is_printed_once_and_lines_are_never_wrapped() -> None:
    result = CliRunner().invoke(keys_app, ["new", "acme"], env={"COLUMNS": "20"})
    key = result.stdout.splitlines()[0]
    assert len(key) == 50
    assert (result.stdout + result.stderr).count(key) == 1
    assert len(result.stdout.splitlines()) == 4


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[31m"])
def test_a_name_that_cannot_be_written_is_bad_usage(name: str) -> None:
    result = CliRunner().invoke(keys_app, ["new", name])
    assert (result.exit_code, result.stdout) == (2, "")
