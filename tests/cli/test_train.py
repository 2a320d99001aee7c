"""``precis train``: every stage is there, loaded late, and says what it lacks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

import proxy.train
from proxy.cli.train import STAGES, train_app
from proxy.compress import Compressor
from proxy.train.commands_flags import flagged
from tests.train import published
from tests.train.distill_server import Teacher, serving
from tests.train.published import SECRET, by_secret

app = typer.Typer()
app.add_typer(train_app, name="train")


def run(*arguments: str | Path, given: str = "") -> Result:
    return CliRunner().invoke(
        app, ["train", *map(str, arguments)], input=given, env={"COLUMNS": "200"}
    )


def test_help_lists_the_stages_in_order() -> None:
    shown = run("--help").output
    places = [shown.index(f"{name} ", shown.index("Commands")) for name in STAGES]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "stage,option",
    [
        ("distill", "--retry-failed"),
        ("annotate", "--method"),
        ("filter", "--drop-vr"),
        ("export", "--card"),
        ("evaluate", "--target-tokens"),
    ],
)
def test_each_stage_shows_its_own_options(stage: str, option: str) -> None:
    result = run(stage, "--help")
    assert result.exit_code == 0
    assert option in result.output and f"train {stage}" in result.output


def test_an_option_that_no_stage_has_is_bad_usage() -> None:
    assert run("annotate", "--no-such-option").exit_code == 2
    assert run("no-such-stage").exit_code == 2


def test_no_stage_is_imported_before_it_is_called() -> None:
    look = "import sys, proxy.cli.train; print([m for m in sys.modules if 'proxy.train' in m])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("stage", ["fit", "export"])
def test_a_missing_extra_is_one_line(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # None in sys.modules is what makes an import fail as if nothing were installed.
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, f"proxy.train.{stage}", raising=False)
    monkeypatch.delattr(proxy.train, stage, raising=False)
    places = {"fit": ("rows.jsonl", "encoder", "out"), "export": ("fitted", "out")}[stage]
    result = run(stage, *(tmp_path / place for place in places))
    assert result.exit_code == 2
    line = rf"{stage} needs (torch|onnx): pip install 'precis-proxy\[train\]'\n"
    assert re.fullmatch(line, result.stderr)


def test_pairs_are_annotated(tmp_path: Path) -> None:
    pair = {"id": "d", "original": "One two three.", "compressed": "One three."}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(pair) + "\n")
    assert run("annotate", tmp_path / "pairs.jsonl", tmp_path / "rows.jsonl").exit_code == 0
    row = json.loads((tmp_path / "rows.jsonl").read_text())
    assert row["labels"] == [1, 0, 1, 1]


class TestEvaluate:
    def test_a_task_is_answered_by_a_server(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        compressor = published.compressor()
        monkeypatch.setattr(Compressor, "load", lambda model: compressor)
        place = published.meetingbank(tmp_path / "data")
        command = ["evaluate", "--task", "meetingbank-qa", "--data", str(place), "--llm", "judge"]
        command += ["--out", str(tmp_path / "out"), "--rates", "0.3", "--price-in", "1"]
        command += ["--price-out", "2"]
        with serving(Teacher(by_secret(f"Number {SECRET}."))) as url:
            declined = run(*command, "--base-url", url, given="n\n")
            done = run(*command, "--base-url", url, "--yes")
        assert declined.exit_code == 1 and "6 questions to ask" in declined.output
        assert done.exit_code == 0, done.output
        assert "compressed@0.3" in done.output and "spent: $0.0007" in done.output
        assert "found 100.0" in (tmp_path / "out" / "table.md").read_text()

    @pytest.mark.parametrize(
        "arguments,says",
        [
            (["--task", "no-such", "--llm", "m", "--out", "o"], "there are: meetingbank-qa"),
            (["--task", "bbh"], "--task needs --llm"),
            (["--llm", "m"], "--llm: only with --task"),
            ([], "--data: give the folder"),
            (["--data", "x", "--rates", "0,2"], "--rates 0: give shares"),
            (["--task", "bbh", "--llm", "m", "--out", "o", "--rates", "2"], "--rates 2"),
            (
                ["--task", "bbh", "--llm", "m", "--out", "o", "--target-tokens", "x"],
                "--target-tokens x",
            ),
            (
                ["--task", "bbh", "--llm", "m", "--out", "o", "--key-env", "NO_SUCH_VARIABLE"],
                "NO_SUCH_VARIABLE is not set",
            ),
            (
                ["--task", "bbh", "--llm", "m", "--out", "o", "--price-in", "1"],
                "only make sense together",
            ),
        ],
    )
    def test_bad_usage_names_the_option(self, arguments: list[str], says: str) -> None:
        result = run("evaluate", *arguments)
        assert result.exit_code == 2
        assert says in " ".join(result.output.split())


@dataclass(frozen=True)
class Settings:
    rows: Path
    window: int = 256
    """Tokens of a window."""
    half: bool = False
    source_weights: dict[str, float] = field(default_factory=dict)


class TestFlags:
    def call(self, *arguments: str) -> tuple[Result, list[Settings]]:
        seen: list[Settings] = []
        inner = typer.Typer()
        inner.command()(flagged(Settings, seen.append, "Do it."))
        return CliRunner().invoke(inner, arguments, env={"COLUMNS": "200"}), seen

    def test_fields_become_arguments_and_options(self) -> None:
        given = ["r.jsonl", "--window", "64", "--half", "--source-weights", "a=2"]
        result, seen = self.call(*given, "--source-weights", "b=0.5")
        assert result.exit_code == 0, result.output
        assert seen == [Settings(Path("r.jsonl"), 64, True, {"a": 2.0, "b": 0.5})]

    def test_defaults_are_the_settings_own(self) -> None:
        assert self.call("r.jsonl")[1] == [Settings(Path("r.jsonl"))]

    def test_docstrings_of_fields_are_the_help(self) -> None:
        shown = self.call("--help")[0].output
        assert "Tokens of a window." in shown and "Do it." in shown

    def test_a_weight_without_a_number_is_bad_usage(self) -> None:
        result, seen = self.call("r.jsonl", "--source-weights", "a")
        assert result.exit_code == 2 and not seen
        assert "--source-weights a: give a name and a number" in result.output
