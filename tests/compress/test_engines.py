"""Checkpoints of every family, by PyTorch and by ONNX Runtime. Needs the extra ``[torch]``."""

from __future__ import annotations

import json
import logging
import pickle
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxy.compress import Compressor, engine, export, trial
from proxy.compress.checkpoint import Checkpoint, find
from proxy.compress.draft import Draft, Job
from proxy.compress.scorer import Floats, Ints, Scorer
from proxy.errors import CheckpointError
from proxy.tokens import encoding
from proxy.types import Rules
from tests.compress.families import FAMILIES, TEXTS, build

LONG = " ".join(TEXTS.values()) + "\n"
every_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workshop")


@pytest.fixture
def checkpoint(workshop: Path, needs: Callable[[bool, str], None]) -> Callable[[str], Checkpoint]:
    """A checkpoint of a family, under a name that says nothing of it."""
    there = all(find_spec(package) for package in ("torch", "transformers", "onnx"))
    needs(there, "pip install '.[torch]'")

    def get(family: str) -> Checkpoint:
        folder = workshop / f"Übung {list(FAMILIES).index(family)} (final)"
        return find(str(folder if folder.is_dir() else build(family, folder)))

    return get


@pytest.fixture
def load(workshop: Path, checkpoint: Callable[[str], Checkpoint]) -> Callable[..., Compressor]:
    def get(family: str, kind: str, precision: str) -> Compressor:
        folder = str(checkpoint(family).path)
        return Compressor.load(
            folder, engine=kind, precision=precision, threads=1, cache=workshop / "cache"
        )

    return get


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
