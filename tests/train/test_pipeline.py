"""The README's way from texts to a classifier, command by command, with a toy teacher."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

if os.environ.get("CI") != "true":  # there a missing package is a failure
    for package in ("torch", "accelerate", "onnx"):
        pytest.importorskip(package, reason="training needs the extra [train]")

from proxy.cli.train import train_app
from proxy.compress import Compressor
from tests.train.distill_server import Reply, Teacher, serving
from tests.train.test_fit import KEEP, WORDS, _encoder

pytestmark = pytest.mark.filterwarnings("ignore")


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(train_app, list(map(str, arguments)), env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


def shorten(text: str, number: int) -> Reply:
    """What a teacher would leave; at the first try of every seventh text it is not there."""
    if number == 1 and len(text) % 7 == 0:
        return Reply(status=503, headers=(("retry-after-ms", "1"),))
    return Reply(" ".join(word for word in text.split() if word in KEEP))


def test_texts_become_a_classifier(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, size=40).tolist()) for _ in range(60)]
    rows = [json.dumps({"id": number, "text": text}) for number, text in enumerate(texts)]
    (tmp_path / "texts.jsonl").write_text("\n".join(rows))
    names = ("texts.jsonl", "pairs.jsonl", "rows.jsonl", "kept.jsonl", "fitted", "mine")
    source, pairs, labelled, kept, fitted, mine = (tmp_path / name for name in names)
    with serving(Teacher(shorten)) as url:
        said = run("distill", source, pairs, "--model", "teacher", "--base-url", url, "--yes")
        assert "60" in said and "price unknown" in said
    assert "rows written" in run("annotate", pairs, labelled)
    assert "rows kept" in run("filter", labelled, kept)
    flags = ["--window", "48", "--epochs", "3", "--batch", "8", "--lr", "5e-3", "--held-out", "0.2"]
    assert "best agreement" in run(
        "fit", kept, _encoder(tmp_path / "encoder"), fitted, *flags, "--keep-weight", "0",
        "--threads", "1",
    )  # fmt: skip
    assert "onnx int8 against torch" in run("export", fitted, mine)
    result = Compressor.load(str(mine)).compress(
        "um the mayor of lyon well signed twelve of the papers", threshold=0.5
    )
    assert result.text == "mayor lyon signed twelve papers"
