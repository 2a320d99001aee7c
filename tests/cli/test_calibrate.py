"""``precis calibrate``: what is found, what is written, and what holds then."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from proxy.cli.check import check
from proxy.compress import Compressor
from proxy.compress.measure import line, speed
from proxy.config_file import load
from tests.compress.readers import fake

module = importlib.import_module("proxy.cli.calibrate")  # the name is the function's too
app = typer.Typer()
app.command("calibrate")(module.calibrate)
app.command("check")(check)

FILE = """\
model_list:
  - {model_name: dear, litellm_params: {model: gpt-4, api_key: x}}
  - {model_name: cheap, litellm_params: {model: openai/gpt-3.5-turbo, api_key: x}}
  - {model_name: own, litellm_params: {model: openai/own, api_base: "http://localhost:1/v1"}}
  - {model_name: echo, litellm_params: {model: echo}}
policies:
  default: {rate: 0.5}
  exact: {threshold: 0.4}
routes:  # mine
  - {match: {model: dear}, policy: default}
  - match: {model: "[co]*"}
    policy: default
  - {match: {model: echo}, policy: default}
  - {match: {model: "*"}, policy: exact}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "speed", lambda compressor, sample: (11_000.4, 3.04))
    monkeypatch.setattr(Compressor, "load", lambda *a, **k: fake())
    path = tmp_path / "config.yaml"
    path.write_text(FILE)
    return path


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "120"})
    assert not isinstance(result.exception, Exception), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_without_write_the_file_stays(file: Path) -> None:
    code, out, err = run("calibrate", "--config", file)
    assert (code, err) == (0, "")
    assert file.read_text() == FILE
    assert "reads 11,000 tokens/s here, and takes 3 ms" in out
    assert "routes.0.pays_over: " in out and "unknown: time alone" in out
    assert "routes.1: pays for some of its models only" in out
    assert "echo" not in out and "exact" not in out


def test_what_is_written_is_used_and_shown(file: Path) -> None:
    file.chmod(0o640)
    assert run("calibrate", "--config", file, "--write")[0] == 0
    config = load(file, {}).config
    assert (config.calibration.tokens_per_second, config.calibration.fixed_ms) == (11_000, 3.0)
    sizes = [entry.pays_over for entry in config.routes]
    assert isinstance(sizes[0], int) and isinstance(sizes[1], int)
    assert 0 < sizes[0] < sizes[1]
    assert sizes[2:] == [None, None]
    assert "routes:  # mine" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o640
    _, out, _ = run("check", file)
    assert f"{sizes[1]:,} tokens" in out
    assert "builtin reads 11,000 tokens/s and takes 3 ms" in out
    once = file.read_text()
    assert run("calibrate", "--config", file, "--write")[0] == 0
    assert file.read_text() == once


def test_a_route_that_never_pays_says_so(file: Path) -> None:
    file.write_text(FILE + "calibration: {value_of_time: 1000}\n")
    assert run("calibrate", "--config", file, "--write")[0] == 0
    config = load(file, {}).config
    assert config.calibration.value_of_time == 1000
    assert config.routes[1].pays_over == "never"
    assert "never" in run("check", file)[1]


def test_the_shipped_file_is_not_written_to() -> None:
    code, _, err = run("calibrate", "--write")
    assert code == 2 and "give your own file with --config" in err


def test_a_broken_file_is_told_as_ever(file: Path) -> None:
    file.write_text("policies: {p: {rate: 7}}")
    code, _, err = run("calibrate", "--config", file)
    assert code == 2 and "7 is more than 1" in err


def test_speeds_make_a_line() -> None:
    assert line([100, 200, 400], [0.012, 0.022, 0.042]) == pytest.approx((10_000, 2.0))
    assert line([100, 200], [0.01, 0.03]) == pytest.approx((7_500, 0.0))  # not below zero
    assert line([100, 200], [0.02, 0.01]) == pytest.approx((10_000, 0.0))  # nor downhill


def test_a_real_one_is_measured() -> None:
    tokens_per_second, fixed_ms = speed(fake(), "A word of a number is in the words. " * 20)
    assert tokens_per_second > 0 and fixed_ms >= 0
