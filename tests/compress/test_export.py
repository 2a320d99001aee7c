"""A checkpoint becomes an ONNX file once, and is used only where it scores the same."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxy.compress import Compressor, engine, export, trial
from proxy.compress.checkpoint import find
from proxy.compress.scorer import Ints, Scorer
from proxy.errors import CheckpointError
from tests.compress.families import FAMILIES, build


def same(one: Scorer, other: Scorer, window: Ints, tolerance: float) -> None:
    np.testing.assert_allclose(one.score(window), other.score(window), atol=tolerance)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_attention_of_windows_without_padding_takes_no_mask(
    family: str, load: Any, workshop: Path
) -> None:
    import onnx

    load(family, "onnx", "fp32")
    print_of = find(str(workshop / f"Übung {list(FAMILIES).index(family)} (final)")).fingerprint
    (file,) = (workshop / "cache").glob(f"{print_of}*-fp32/*.onnx")
    nodes = [node for node in onnx.load(file).graph.node if node.op_type == "Attention"]
    assert nodes
    assert not any("".join(node.input[3:]) for node in nodes)


def test_an_export_is_used_again(
    tmp_path: Path, checkpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = checkpoint("bert")
    first = export.onnx_file(found, found.tokenizer(), "fp32", tmp_path)
    monkeypatch.setattr(export, "to_onnx", lambda *_: pytest.fail("exported twice"))
    assert export.onnx_file(found, found.tokenizer(), "fp32", tmp_path) == first
    assert export.onnx_file(found, found.tokenizer(), "int8", tmp_path).name == "model_int8.onnx"
    assert not list(tmp_path.glob(".making*"))


def test_a_later_start_does_without_torch(tmp_path: Path, checkpoint: Any) -> None:
    folder = str(checkpoint("bert").path)
    Compressor.load(folder, engine="onnx", cache=tmp_path)
    program = (
        "import sys, pathlib; from proxy.compress import Compressor; "
        "Compressor.load(sys.argv[1], engine='onnx', cache=pathlib.Path(sys.argv[2])); "
        "sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", program, folder, str(tmp_path)], cwd=root, check=True)


def test_other_weights_are_exported_anew(tmp_path: Path, checkpoint: Any) -> None:
    one = find(str(build("bert", tmp_path / "one", seed=1)))
    other = find(str(build("bert", tmp_path / "other", seed=2)))
    again = find(str(build("bert", tmp_path / "again", seed=1)))
    assert one.fingerprint == again.fingerprint != other.fingerprint
    del checkpoint


def test_an_export_that_scores_differently_is_refused(
    tmp_path: Path, checkpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    found, good = checkpoint("bert"), export.to_onnx

    def bad(model: Any, file: Path) -> None:
        bias = model.classifier.bias
        with torch.no_grad():
            bias[1] += 0.1
            good(model, file)
            bias[1] -= 0.1

    monkeypatch.setattr(export, "to_onnx", bad)
    with pytest.raises(CheckpointError, match=r"scores differently.*engine: torch"):
        export.onnx_file(found, found.tokenizer(), "fp32", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("good", [True, False])
def test_auto_takes_int8_only_where_it_agrees(
    tmp_path: Path, checkpoint: Any, monkeypatch: pytest.MonkeyPatch, good: bool
) -> None:
    found = checkpoint("bert")
    monkeypatch.setattr(trial, "_GOOD_CORRELATION", 0.0 if good else 1.1)
    monkeypatch.setattr(trial, "_GOOD_SHARE", 0.0)
    scorer = engine.open_scorer(found, found.tokenizer(), "onnx", "auto", tmp_path)
    assert scorer.fingerprint.endswith("model_int8" if good else "model")
    (entry,) = tmp_path.iterdir()
    report = json.loads((entry / "export.json").read_text())
    assert report["fp32"]["largest_difference"] < 1e-4 and report["int8"]["correlation"] < 1
    assert len(list(entry.glob("*.onnx"))) == 1


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_weights_too_large_for_one_file_go_into_a_second(
    tmp_path: Path, checkpoint: Any, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    from proxy.compress import onnx
    from proxy.compress.torch import TorchScorer

    found = checkpoint(family)
    monkeypatch.setattr(onnx, "_LIMIT", 1000)
    file = export.onnx_file(found, found.tokenizer(), "fp32", tmp_path)
    assert (file.parent / "model.onnx.data").stat().st_size > file.stat().st_size
    window = trial.windows(found.tokenizer(), found.window)[-1]
    plain = TorchScorer(found.path, name="", fingerprint="")
    same(plain, onnx.OnnxScorer(file, name="", fingerprint=""), window, 1e-4)
    small = export.onnx_file(found, found.tokenizer(), "int8", tmp_path)
    assert np.isfinite(onnx.OnnxScorer(small, name="", fingerprint="").score(window)).all()


def test_export_leaves_the_root_logger_and_the_model_as_they_were(
    tmp_path: Path, checkpoint: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    before = list(logging.getLogger().handlers)
    found = checkpoint("bert")
    export.onnx_file(found, found.tokenizer(), "int8", tmp_path)
    assert logging.getLogger().handlers == before
    assert capfd.readouterr() == ("", "")


def test_int8_is_made_from_the_checkpoints_own_onnx_file_without_torch(
    tmp_path: Path, checkpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = checkpoint("bert")
    file = export.onnx_file(found, found.tokenizer(), "fp32", tmp_path / "cache")
    own = tmp_path / "own"
    own.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (own / name).write_bytes((found.path / name).read_bytes())
    (own / "model.onnx").write_bytes(file.read_bytes())
    monkeypatch.setattr(export, "to_onnx", lambda *_: pytest.fail("exported"))
    loaded = Compressor.load(str(own), precision="int8", cache=tmp_path / "other")
    assert loaded.scorer.fingerprint.endswith("model_int8")
    assert sorted(file.name for file in own.iterdir()) == [
        "config.json", "model.onnx", "tokenizer.json",
    ]  # fmt: skip


@pytest.mark.parametrize("missing", ["torch", "transformers", "onnx"])
def test_what_export_needs_and_lacks_is_named(
    tmp_path: Path, checkpoint: Any, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    found = checkpoint("bert")
    monkeypatch.setattr(
        export, "find_spec", lambda name: None if name == missing else find_spec(name)
    )
    with pytest.raises(CheckpointError, match=rf"{missing}: pip install 'precis-proxy\[torch\]'"):
        export.onnx_file(found, found.tokenizer(), "fp32", tmp_path)


# Choice of the engine.
