from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from proxy.compress import Compressor
from proxy.compress.scorer import FakeScorer
from proxy.errors import ConfigError
from proxy.train import pupil
from proxy.train.words import words_of
from tests.compress.readers import reader

TEXT = "The mayor of Lyon didn't sign 12 papers, she said. " * 12


def row() -> dict[str, object]:
    words = [list(span) for span in words_of(TEXT)]
    return {"text": TEXT, "words": words, "labels": [0.25] * len(words), "doc": "a"}


def teacher() -> Compressor:
    return Compressor(FakeScorer(), reader(48), threads=1)


def test_without_a_share_the_labels_stay() -> None:
    (found,) = pupil.taught(iter([row()]), teacher(), share=0.0)
    assert found["labels"] == row()["labels"]


def test_with_all_of_it_they_are_the_teachers_scores() -> None:
    (found,) = pupil.taught(iter([row()]), teacher(), share=1.0)
    wanted = pupil.word_scores(teacher(), TEXT, row()["words"])  # type: ignore[arg-type]
    assert np.allclose(found["labels"], wanted, atol=1e-3)
    assert len(set(found["labels"])) > 5


def test_the_rest_of_a_row_is_left_alone() -> None:
    (found,) = pupil.taught(iter([row()]), teacher())
    assert {**found, "labels": None} == {**row(), "labels": None}


def test_a_stopped_run_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps(row()) + "\n{broken\n", encoding="utf-8")
    monkeypatch.setattr(Compressor, "load", lambda name: teacher())
    with pytest.raises(json.JSONDecodeError):
        pupil.main(rows, tmp_path, tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_a_text_with_other_line_separators_is_one_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tmp_path / "rows.jsonl"
    odd = row() | {"text": TEXT.replace("papers, she", "papers,\u2028she")}
    rows.write_text(json.dumps(odd, ensure_ascii=False) + "\n", encoding="utf-8")
    monkeypatch.setattr(Compressor, "load", lambda name: teacher())
    pupil.main(rows, tmp_path, tmp_path / "out.jsonl")
    (line,) = (tmp_path / "out.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")
    assert json.loads(line)["text"] == odd["text"]


def test_variants_are_taught_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    rows.write_text(json.dumps(row()) + "\n", encoding="utf-8")
    monkeypatch.setattr(Compressor, "load", lambda name: teacher())
    pupil.main(rows, tmp_path, out, copies=2)
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(found) == 3 and len({one["text"] for one in found}) == 3
    assert found[0]["text"] == TEXT
    for one in found:
        wanted = pupil.word_scores(teacher(), one["text"], one["words"])
        assert np.allclose(one["labels"], wanted, atol=1e-3)


def test_variants_have_no_labels_to_mix_in(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="share of 1"):
        pupil.main(tmp_path / "rows.jsonl", tmp_path, tmp_path / "out.jsonl", 0.5, copies=2)
