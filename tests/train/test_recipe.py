"""The whole recipe of the shipped classifiers, on a few sentences and a toy of an encoder."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

if os.environ.get("CI") != "true":  # there a missing package is a failure
    for package in ("torch", "accelerate", "onnx"):
        pytest.importorskip(package, reason="training needs the extra [train]")

from proxy.compress import Compressor
from proxy.train import recipe
from tests.compress.families import build

pytestmark = pytest.mark.filterwarnings("ignore")

PASSAGE = (
    "The Lyon council met on 4 May 1911 and did not sign the treaty with Geneva. Marie Curie, who "
    "had come from Paris by the night train, spoke about radium for an hour. Afterwards there was "
    "a dinner, as there always is, and everybody went home rather late. "
)


def write(file: Path, rows: list[dict[str, Any]]) -> None:
    with gzip.open(file, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)


def datasets(folder: Path) -> Path:
    """Every file that the recipe reads."""
    folder.mkdir()
    start = PASSAGE.index("Marie")
    marked = [{"id": n, "text": PASSAGE * 4, "keep": [[start, start + 40]]} for n in range(40)]
    for name in ("debatesum", "scitldr", "qmsum"):
        write(folder / f"{name}-train.jsonl.gz", marked)
    for name in ("debatesum-dev", "qmsum-val"):
        write(folder / f"{name}.jsonl.gz", marked[:2])
    asked = {"question": "Who spoke about radium?", "answers": ["Marie Curie"]}
    write(folder / "nq-oracle-dev.jsonl.gz", [{"text": PASSAGE * 15, **asked}] * 2)
    hotpot = {"question": "Who came from Paris?", "answer": "Marie Curie", "context": PASSAGE}
    write(folder / "hotpot-dev.jsonl.gz", [hotpot])
    return folder


def test_from_texts_to_two_classifiers_that_load(tmp_path: Path) -> None:
    data = datasets(tmp_path / "data")
    encoder = build("bert", tmp_path / "encoder", num_hidden_layers=4, max_position_embeddings=512)
    work, out = tmp_path / "work", tmp_path / "models"
    recipe.main(data, encoder, work, out, bf16=False)

    for folder, layers in (("builtin", 3), ("builtin_fast", 1)):
        assert {file.name for file in (out / folder).iterdir()} == set(recipe.SHIPPED)
        assert json.loads((out / folder / "config.json").read_text())["num_hidden_layers"] == layers
        card = json.loads((out / folder / "precis.json").read_text())
        assert card["name"] == folder.replace("_", "-")
        assert 0 <= card["metrics"]["nq-oracle-dev"]["answers@0.33"] <= 1
        loaded = Compressor.load(str(out / folder))
        assert loaded.reader.sentence_share == recipe.CARD["sentence_share"]
        shorter = loaded.compress(PASSAGE * 3, 0.5)
        assert 0 < shorter.tokens_after < shorter.tokens_before

    # What is in the folder of work is not made again.
    kept = {file: file.stat().st_mtime_ns for file in work.rglob("rows*.jsonl")}
    assert len(kept) == 2
    weights = (work / "fitted" / "model.safetensors").read_bytes()
    recipe.main(data, encoder, work, out, bf16=False)
    assert kept == {file: file.stat().st_mtime_ns for file in work.rglob("rows*.jsonl")}
    assert (work / "fitted" / "model.safetensors").read_bytes() == weights
