"""Checkpoints of every family, by PyTorch and by ONNX Runtime. Needs the extra ``[torch]``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxy.compress import Compressor, engine, trial
from proxy.compress.checkpoint import find
from proxy.compress.draft import Draft, Job
from proxy.compress.scorer import Floats, Ints, Scorer
from proxy.errors import CheckpointError
from proxy.tokens import encoding
from proxy.types import Rules
from tests.compress.families import FAMILIES, TEXTS

LONG = " ".join(TEXTS.values()) + "\n"
every_family = pytest.mark.parametrize("family", FAMILIES)


def same(one: Scorer, other: Scorer, window: Ints, tolerance: float) -> None:
    np.testing.assert_allclose(one.score(window), other.score(window), atol=tolerance)


class Watched:
    """Passes windows on and remembers how long they were."""

    def __init__(self, inner: Scorer) -> None:
        self.inner, self.name, self.fingerprint = inner, inner.name, inner.fingerprint
        self.lengths: list[int] = []

    def score(self, ids: Ints) -> Floats:
        self.lengths.append(len(ids))
        return self.inner.score(ids)


@every_family
def test_onnx_scores_as_torch_does(family: str, load: Any) -> None:
    plain, exported = load(family, "torch", "fp32"), load(family, "onnx", "fp32")
    tokenizer = plain.reader.tokenizer
    assert plain.reader.window == FAMILIES[family].window
    varied = []
    for text in TEXTS.values():
        ids = tokenizer.encode(text, [(0, len(text))]).ids
        for length in (1, 2, 7, plain.reader.window - tokenizer.specials):
            window = tokenizer.around(np.resize(ids, length))
            same(plain.scorer, exported.scorer, window, 1e-4)
        varied.append(plain.scorer.score(window).std())
    assert max(varied) > 0.01, "scores that are all the same compare nothing"


@every_family
def test_int8_runs_and_is_told_apart_from_fp32(family: str, load: Any) -> None:
    exact, small = load(family, "onnx", "fp32"), load(family, "onnx", "int8")
    assert exact.scorer.fingerprint != small.scorer.fingerprint
    windows = trial.windows(exact.reader.tokenizer, exact.reader.window)
    wanted, got = ([c.scorer.score(ids) for ids in windows] for c in (exact, small))
    assert all(((scores >= 0) & (scores <= 1)).all() for scores in got)
    assert trial.compare(wanted, got).correlation > 0.5  # noise alone has 0
    assert any((a != b).any() for a, b in zip(wanted, got, strict=True))


@every_family
def test_texts_of_all_languages_are_compressed_to_target(family: str, load: Any) -> None:
    compressor = load(family, "onnx", "fp32")
    exact = 0
    for text in (*TEXTS.values(), LONG * 3):
        result = compressor.compress(text, 0.6)
        rest = iter(text)
        assert all(char in rest for char in result.text)
        assert result.text == "".join(text[s:e] for s, e in result.kept)
        draft = Draft.of(Job(text, Rules()), compressor.reader)
        longest = max(encoding().count(" " + unit) for unit in draft.units.strings)
        target, slack = round(0.6 * result.tokens_before), longest + 1
        assert result.tokens_after >= target - max(slack, 0.01 * target)
        # What the classifier can't read stays, whatever the target.
        if not draft.forced(compressor.reader.tokenizer).any():
            exact += 1
            assert result.tokens_after <= target + max(slack, 0.01 * target)
    assert exact >= 6


@every_family
def test_no_window_of_a_long_text_is_longer_than_the_model_reads(family: str, load: Any) -> None:
    compressor = load(family, "onnx", "fp32")
    watched = Watched(compressor.scorer)
    seen = Compressor(watched, compressor.reader, threads=1)
    seen.compress(LONG * 4 + "unbroken" * 400, 0.5)
    limit = FAMILIES[family].window
    assert limit // 2 < max(watched.lengths) <= limit
    assert len(watched.lengths) > 2


def test_roberta_uses_all_positions_that_it_has_and_not_one_more(load: Any) -> None:
    compressor = load("roberta", "torch", "fp32")
    full = np.full(FAMILIES["roberta"].window, 9)
    assert len(compressor.scorer.score(full)) == len(full)
    with pytest.raises((IndexError, RuntimeError), match="index"):
        compressor.scorer.score(np.append(full, 9))


@every_family
def test_words_that_look_like_special_tokens_are_read_as_text(family: str, load: Any) -> None:
    tokenizer = load(family, "onnx", "fp32").reader.tokenizer
    text = " ".join(("see", *FAMILIES[family].specials, "<pad> [PAD] there"))
    ids = tokenizer.encode(text, [(0, len(text))]).ids
    assert not set(ids.tolist()) & {*tokenizer.prefix.tolist(), *tokenizer.suffix.tolist()}


# Export: once, whole, checked.


def test_auto_is_torch_on_an_accelerator_and_onnx_elsewhere(
    tmp_path: Path, checkpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from proxy.compress import torch as engine_torch

    found = checkpoint("bert")
    tokenizer = found.tokenizer()
    monkeypatch.setattr(engine_torch, "device", lambda: torch.device("cpu"))
    scorer = engine.open_scorer(found, tokenizer, "auto", "fp32", tmp_path)
    assert type(scorer).__name__ == "OnnxScorer"
    monkeypatch.setattr(engine_torch, "device", lambda: torch.device("meta"))
    assert engine._wants_torch(found, "auto")
    assert not engine._wants_torch(found, "int8")
    assert not engine._wants_torch(find("builtin"), "auto"), "it has no weights for PyTorch"


@pytest.mark.parametrize("good", [True, False])
def test_half_precision_is_used_only_where_scores_stay_the_same(
    checkpoint: Any, monkeypatch: pytest.MonkeyPatch, good: bool
) -> None:
    import torch

    from proxy.compress import torch as engine_torch

    found = checkpoint("xlm-roberta")
    sample = trial.windows(found.tokenizer(), found.window)
    known = {"name": "", "fingerprint": "f", "sample": sample}
    exact = engine_torch.TorchScorer(found.path, precision="fp32", **known)
    monkeypatch.setattr(engine_torch, "_dtype", lambda *_: torch.bfloat16)
    monkeypatch.setattr(trial, "_GOOD_CORRELATION", 0.9 if good else 1.1)
    monkeypatch.setattr(trial, "_GOOD_SHARE", 0.0)
    scorer = engine_torch.TorchScorer(found.path, precision="auto", **known)
    assert scorer.precision == ("bf16" if good else "fp32")
    assert (scorer.score(sample[-1]) == exact.score(sample[-1])).all() == (not good)


def test_bf16_runs_by_torch_under_any_engine_but_onnx(load: Any) -> None:
    assert load("bert", "auto", "bf16").scorer.fingerprint.endswith("bf16")
    with pytest.raises(CheckpointError, match="no bf16"):
        load("bert", "onnx", "bf16")
    with pytest.raises(CheckpointError, match="no int8"):
        load("bert", "torch", "int8")


# Weights that are not what they should be.
