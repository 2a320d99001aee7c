"""Checkpoints that are not what they should be, or of older kinds."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxy.compress import Compressor
from proxy.compress.checkpoint import find
from proxy.compress.scorer import Ints, Scorer
from proxy.errors import CheckpointError
from tests.compress.families import TEXTS, build


def same(one: Scorer, other: Scorer, window: Ints, tolerance: float) -> None:
    np.testing.assert_allclose(one.score(window), other.score(window), atol=tolerance)


def test_a_body_without_a_head_is_refused(tmp_path: Path, checkpoint: Any) -> None:
    from transformers import AutoModel

    found = checkpoint("bert")
    AutoModel.from_pretrained(found.path).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((found.path / "tokenizer.json").read_bytes())
    with pytest.raises(CheckpointError, match=r"no token classifier.*BertModel"):
        find(str(tmp_path))
    config = json.loads((tmp_path / "config.json").read_text())
    del config["architectures"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    for kind in ("torch", "onnx"):
        with pytest.raises(CheckpointError, match=r"lack classifier\.bias, classifier\.weight"):
            Compressor.load(str(tmp_path), engine=kind, precision="fp32", cache=tmp_path / "cache")


def test_weights_of_another_shape_are_refused(tmp_path: Path, checkpoint: Any) -> None:
    build("bert", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_size": 64}))
    with pytest.raises(CheckpointError, match="not a token classifier"):
        Compressor.load(str(tmp_path), engine="torch")
    del checkpoint


def test_code_that_comes_with_a_checkpoint_is_never_run(tmp_path: Path, checkpoint: Any) -> None:
    build("bert", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "evil.py").write_text("import pathlib; pathlib.Path('ran').touch()\nclass Model: 0")
    code = {
        "model_type": "evil",
        "auto_map": {"AutoConfig": "evil.Model", "AutoModelForTokenClassification": "evil.Model"},
    }
    (tmp_path / "config.json").write_text(json.dumps({**config, **code}))
    with pytest.raises(CheckpointError, match="not a token classifier"):
        Compressor.load(str(tmp_path), engine="torch")
    assert not Path("ran").exists()
    del checkpoint


def test_pickled_weights_load_as_weights_only(tmp_path: Path, checkpoint: Any) -> None:
    import torch
    from safetensors.torch import load_file

    found = checkpoint("bert")
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((found.path / name).read_bytes())
    pickled = tmp_path / "pytorch_model.bin"
    torch.save(load_file(found.path / "model.safetensors"), pickled)
    plain = Compressor.load(str(found.path), engine="torch", precision="fp32")
    window = np.arange(20)
    same(Compressor.load(str(tmp_path), engine="torch", precision="fp32").scorer, plain.scorer,
         window, 1e-6)  # fmt: skip
    pickled.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(CheckpointError):
        Compressor.load(str(tmp_path), engine="torch")
    torch.save({"weight": Trap(tmp_path / "sprung")}, pickled)
    with pytest.raises(CheckpointError):
        Compressor.load(str(tmp_path), engine="torch")
    assert not (tmp_path / "sprung").exists()


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_older_vocabulary_files_are_converted_once(
    tmp_path: Path, checkpoint: Any, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    found = checkpoint(family)
    old = tmp_path / "old"
    old.mkdir()
    for name in ("config.json", "model.safetensors"):
        (old / name).write_bytes((found.path / name).read_bytes())
    model = json.loads((found.path / "tokenizer.json").read_text())["model"]
    if family == "bert":
        pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
        (old / "vocab.txt").write_text("\n".join(pieces) + "\n")
        (old / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    else:
        (old / "vocab.json").write_text(json.dumps(model["vocab"]))
        merges = [" ".join(m) if isinstance(m, list) else m for m in model["merges"]]
        (old / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    aged, wanted = find(str(old)).tokenizer(tmp_path / "cache"), found.tokenizer()
    assert aged.prefix.tolist() == wanted.prefix.tolist()
    for text in TEXTS.values():
        mine, theirs = (t.encode(text, [(0, len(text))]) for t in (aged, wanted))
        assert mine.ids.tolist() == theirs.ids.tolist()
    monkeypatch.setattr("proxy.compress.checkpoint._converter", lambda _: pytest.fail("again"))
    find(str(old)).tokenizer(tmp_path / "cache")
