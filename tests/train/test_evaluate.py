"""``evaluate`` without an LLM, on dev sets of a few sentences."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer import Typer
from typer.testing import CliRunner

from proxy.cli.train import train_app
from proxy.errors import ConfigError
from proxy.train import evaluate, evaluate_llmlingua, evaluate_report
from proxy.train.devsets import Text
from proxy.train.evaluate_methods import BASELINES

pytestmark = pytest.mark.filterwarnings("ignore")

PASSAGE = (
    "The Lyon council met on 4 May 1911 and did not sign the treaty with Geneva. Marie Curie, who "
    "had come from Paris by the night train, spoke about radium for an hour. Afterwards there was "
    "a dinner, as there always is, and everybody went home rather late. "
)
QUIET = Console(quiet=True)


def _write(file: Path, rows: list[dict[str, Any]]) -> None:
    with gzip.open(file, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Every file that ``evaluate`` reads, with a row or a few."""
    folder = tmp_path / "data"
    folder.mkdir()
    asked = {"question": "Who spoke about radium?", "answers": ["Marie Curie"]}
    long = {"text": PASSAGE * 15, **asked}
    _write(folder / "nq-oracle-dev.jsonl.gz", [long, long])
    hotpot = {"question": "Who came from Paris?", "answer": "Marie Curie", "context": PASSAGE}
    _write(folder / "hotpot-dev.jsonl.gz", [hotpot, {**hotpot, "answer": "nobody of that name"}])
    for name in ("debatesum-dev", "qmsum-val", "debatesum-train", "scitldr-train", "qmsum-train"):
        start = PASSAGE.index("Marie")
        _write(folder / f"{name}.jsonl.gz", [{"text": PASSAGE, "keep": [[start, start + 40]]}])
    return folder


def test_every_method_is_measured_on_every_set(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    found = evaluate.main(data, rates=(0.2, 0.8), out=out, console=QUIET)
    names = [*BASELINES, "builtin"]
    assert all(list(rows) == names for rows in found.values())
    assert set(found["nq-oracle-dev"]["builtin"]) == {
        f"{name}@{rate}"
        for name in ("answers", "linked", "linked all", "rate")
        for rate in (0.2, 0.8)
    }
    assert found["debatesum-dev"]["idf"].keys() >= {"f1@0.38", "lift@0.2"}
    assert found[evaluate.SPEED]["builtin"]["ms"] > 0
    assert json.loads(out.read_text()) == found
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "| builtin |" in out.with_suffix(".md").read_text()


def test_methods_keep_as_many_tokens_as_one_another(data: Path) -> None:
    found = evaluate.main(data, rates=(0.5,), console=QUIET)
    for rows in (found["nq-oracle-dev"], found["qmsum-val"]):
        assert all(row["rate@0.5"] == pytest.approx(0.5, abs=0.03) for row in rows.values())


def test_a_stopped_run_goes_on_where_it_was(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, asked = tmp_path / "out.json", []
    rows_of = evaluate.row_of

    def count(suite: evaluate.Suite, method: Any, step: Any) -> dict[str, float]:
        if len(asked) == 7:
            raise KeyboardInterrupt
        asked.append((suite.name, method.name))
        return rows_of(suite, method, step)

    monkeypatch.setattr(evaluate, "row_of", count)
    with pytest.raises(KeyboardInterrupt):
        evaluate.main(data, rates=(0.5,), out=out, console=QUIET)
    first = list(asked)
    asked.clear()
    monkeypatch.setattr(
        evaluate, "row_of", lambda *a: (asked.append((a[0].name, a[1].name)), rows_of(*a))[1]
    )
    whole = evaluate.main(data, rates=(0.5,), out=out, console=QUIET)
    assert not set(first) & set(asked)
    assert len(first) + len(asked) == 9 * 5
    fresh = evaluate.main(data, rates=(0.5,), console=QUIET)
    del whole[evaluate.SPEED], fresh[evaluate.SPEED]
    assert whole == fresh


def test_other_texts_are_measured_anew(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    first = evaluate.main(data, rates=(0.5,), out=out, console=QUIET)
    _write(data / "qmsum-val.jsonl.gz", [{"text": PASSAGE, "keep": [[0, 16]]}])
    second = evaluate.main(data, rates=(0.5,), out=out, console=QUIET)
    assert first["qmsum-val"]["idf"] != second["qmsum-val"]["idf"]
    assert first["debatesum-dev"] == second["debatesum-dev"]


def test_a_value_is_told_beside_the_best_baseline() -> None:
    rows = {"random": {"a@0.5": 0.2}, "idf": {"a@0.5": 0.5}, "mine": {"a@0.5": 1.0}}
    assert evaluate_report.best_baseline(rows, "a@0.5") == 0.5
    console = Console(record=True, width=100, quiet=True)
    console.quiet = False
    with console.capture() as captured:
        console.print(evaluate_report.table_of("t", rows))
    assert "1.000 (2.00x)" in captured.get()


def test_what_the_package_kept_is_found_again_in_the_text() -> None:
    text = Text("Café prices, 3.5 % up; nobody's well-known $10,000 [x] offer.")
    said: Sequence[tuple[str, str]] = [
        ("cafe", "1"), ("prices", "0"), (",", "1"), ("3", "1"), (".", "1"), ("5", "1"),
        ("[UNK]", "1"), ("%", "0"), ("up", "1"), ("nobody", "1"), ("'", "0"), ("s", "1"),
        ("$", "1"), ("10", "1"), (",", "1"), ("000", "1"), ("offer", "1"),
    ]  # fmt: skip
    kept = evaluate_llmlingua.whole_units(text, said)
    strings = [unit for unit, on in zip(text.units.strings, kept, strict=True) if on]
    assert strings == ["Café", ",", "up", "$10,000", "offer"]


def test_why_there_is_no_row_for_the_package_is_told(data: Path) -> None:
    reason = evaluate_llmlingua.why_not("builtin")
    assert "PyTorch" in reason or "not installed" in reason
    with pytest.raises(ConfigError, match="--llmlingua"):
        evaluate.main(data, console=QUIET, package="builtin")


def test_the_package_is_measured_on_the_same_weights(
    data: Path, tmp_path: Path, needs: Any
) -> None:
    needs(find_spec("llmlingua") is not None, "pip install '.[parity]'")
    from tests.compress.families import build

    folder = build("bert", tmp_path / "model", max_position_embeddings=512)
    found = evaluate.main(data, [str(folder)], (0.5,), console=QUIET, package="")
    row = found["hotpot-dev"]["llmlingua on model"]
    assert 0 < row["rate@0.5"] < 0.7
    assert "llmlingua on model" not in found["hotpot-dev, rate in characters"]
    assert found[evaluate.SPEED]["llmlingua on model"]["ms"] > 0


def test_the_command_writes_tables_and_a_picture(data: Path, tmp_path: Path) -> None:
    app = Typer()
    app.add_typer(train_app, name="train")
    command = ["train", "evaluate", "--data", str(data), "--rates", "0.5"]
    result = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names >= {"evaluate.json", "evaluate.md", "evaluate.png"}
    assert np.isfinite(
        json.loads((tmp_path / "out" / "evaluate.json").read_text())["speed"]["idf"]["ms"]
    )
