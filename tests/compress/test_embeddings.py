"""Embeddings taken apart say what the fused operator said."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

if os.environ.get("CI") != "true":  # there a missing package is a failure
    for package in ("torch", "transformers", "onnx"):
        pytest.importorskip(package, reason="exporting needs the extra [torch]")

import onnx

from proxy.compress import embeddings, torch
from proxy.compress import onnx as engine
from proxy.compress.export import to_int8, to_onnx
from proxy.compress.onnx import OnnxScorer
from proxy.compress.tokenize import CAPITAL
from tests.compress.families import build


@pytest.mark.parametrize(
    "family,capitals", [("bert", True), ("bert", False), ("distilbert", False)]
)
def test_they_say_the_same(
    family: str, capitals: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = torch.load(build(family, tmp_path / "model"), eager=True)
    if capitals:
        model.config.token_types = "capitals"
    exact, plain, fused = (tmp_path / f"{name}.onnx" for name in ("exact", "plain", "fused"))
    to_onnx(model, exact)
    to_int8(exact, plain)
    monkeypatch.setattr(engine, "_take_embeddings_apart", lambda file: None)
    to_int8(exact, fused)
    kinds = [{node.op_type for node in onnx.load(file).graph.node} for file in (plain, fused)]
    assert "QEmbedLayerNormalization" in kinds[1] - kinds[0]
    given = {node.name for node in onnx.load(plain).graph.input}
    assert given == {"input_ids"} | ({"token_type_ids"} if capitals else set())
    ids = np.arange(5, 35, dtype=np.int64)
    ids[::3] |= CAPITAL * capitals
    scores = [OnnxScorer(file, name="", fingerprint="").score(ids) for file in (plain, fused)]
    np.testing.assert_allclose(*scores, atol=0.02)
    assert np.ptp(scores[0]) > 0.01


def test_where_nothing_is_fused_nothing_is_done(tmp_path: Path) -> None:
    model = torch.load(build("roberta", tmp_path / "model"), eager=True)
    to_onnx(model, tmp_path / "exact.onnx")
    graph = onnx.load(tmp_path / "exact.onnx")
    before = graph.SerializeToString()
    assert not embeddings.take_apart(graph)
    assert graph.SerializeToString() == before
