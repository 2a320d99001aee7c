"""What a checkpoint's directory must hold, and what is said of one that does not."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxy.compress import Compressor, checkpoint, weights
from proxy.compress.checkpoint import find
from proxy.errors import CheckpointError
from tests.compress.families import tokenizer

BUILTIN = Path(__file__).parents[2] / "proxy" / "models" / "builtin"
CONFIG = {
    "model_type": "bert", "architectures": ["BertForTokenClassification"], "vocab_size": 700,
    "max_position_embeddings": 512,
}  # fmt: skip


def safetensors(tensors: Mapping[str, int], fill: int = 0) -> bytes:
    """A safetensors file with byte tensors of the given sizes."""
    at, header = 0, {}
    for name, size in tensors.items():
        header[name] = {"dtype": "U8", "shape": [size], "data_offsets": [at, at + size]}
        at += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    return len(text).to_bytes(8, "little") + text + bytes([fill]) * at


def write(folder: Path, config: Mapping[str, Any] = CONFIG, family: str = "bert") -> Path:
    """A directory that has all that ``find`` asks for."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(tokenizer(family).to_str(), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(safetensors({"classifier.weight": 64}))
    return folder


def refusal(folder: Path | str) -> str:
    with pytest.raises(CheckpointError) as caught:
        find(str(folder)).tokenizer()
    return caught.value.message


# Names.


def test_a_copy_of_the_shipped_one_works_under_any_name(tmp_path: Path) -> None:
    copy = tmp_path / "Über alles – v2.1 (copy)"
    copy.mkdir()
    for file in BUILTIN.iterdir():
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes())
    shipped, copied = Compressor.load("builtin"), Compressor.load(str(copy))
    text = "The old mayor has signed the new plan after a very long debate. " * 4
    assert copied.compress(text, 0.4).text == shipped.compress(text, 0.4).text
    assert copied.scorer.fingerprint == shipped.scorer.fingerprint
    assert (shipped.name, copied.name) == ("builtin", copy.name)


def test_a_directory_is_found_from_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    assert find(".").name == "here"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find("~/here").name == "here"


@pytest.mark.parametrize(
    "name", ["nothing", "./no/such", "/no/such", "~/no", "~nobody-here/x", "a/b/c"]
)
def test_a_name_that_is_neither_shipped_nor_there_is_refused(name: str) -> None:
    assert f"no model {name!r}: give builtin" in refusal(name)


def test_a_file_is_not_taken_for_a_directory(tmp_path: Path) -> None:
    file = write(tmp_path / "c") / "model.safetensors"
    assert refusal(file).endswith("is a file; give the directory that it is in")


# Windows.


@pytest.mark.parametrize(
    "changes,window",
    [
        ({}, 512),
        ({"max_position_embeddings": 128}, 128),
        ({"max_position_embeddings": 8192, "model_type": "modernbert"}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 130}, 128),
        ({"model_type": "roberta", "max_position_embeddings": 100, "pad_token_id": 0}, 99),
        ({"model_type": "mpnet", "max_position_embeddings": 66, "pad_token_id": None}, 64),
        ({"max_position_embeddings": -1}, 512),
        ({"model_type": "deberta-v2", "max_position_embeddings": 256, "pad_token_id": 0}, 256),
    ],
)
def test_windows_are_as_long_as_positions_allow(
    tmp_path: Path, changes: dict[str, Any], window: int
) -> None:
    assert find(str(write(tmp_path, {**CONFIG, **changes}))).window == window


def test_a_card_and_a_tokenizers_limit_shorten_windows(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 384}')
    assert find(str(tmp_path)).window == 384
    (tmp_path / "precis.json").write_text('{"window": 256}')
    assert find(str(tmp_path)).window == 256
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 1e30}')
    assert find(str(tmp_path)).window == 256


def test_a_card_may_ask_for_more_than_the_usual(tmp_path: Path) -> None:
    write(tmp_path, {**CONFIG, "max_position_embeddings": 8192})
    (tmp_path / "precis.json").write_text('{"window": 1024}')
    assert find(str(tmp_path)).window == 1024


# What is missing or wrong.


@pytest.mark.parametrize(
    "file,content,says",
    [
        ("config.json", None, "no config.json in"),
        ("config.json", b"{", "is not valid JSON"),
        ("config.json", b"\xff\xfe", "is not valid JSON"),
        ("config.json", b"[]", "must hold a JSON object"),
        ("precis.json", b'{"label_keep": 2}', "label_keep is 2; it is 0 or 1"),
        ("precis.json", b"nonsense", "is not valid JSON"),
        ("tokenizer.json", None, "no tokenizer.json in"),
        ("tokenizer.json", b"{}", "is damaged"),
        ("tokenizer.json", b'{"version": "1.0", "model": ', "is damaged"),
        ("model.safetensors", None, "no weights in"),
        ("model.safetensors", b"", "is empty"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        ("model.safetensors", b"no safetensors", "no safetensors header"),
        ("model.safetensors", safetensors({"a": 500})[:-1], "its header tells of"),
        ("model.safetensors", safetensors({"a": 500})[:20], "no safetensors header"),
        ("model.safetensors", safetensors({"a": 500}) + b"more", "its header tells of"),
    ],
)
def test_a_damaged_directory_is_told_what_is_wrong(
    tmp_path: Path, file: str, content: bytes | None, says: str
) -> None:
    write(tmp_path)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    assert says in refusal(tmp_path)


@pytest.mark.parametrize(
    "changes,says",
    [
        ({"architectures": ["BertForMaskedLM"]}, "is no token classifier: .* BertForMaskedLM"),
        ({"num_labels": 9}, "has 9 labels; .* has 2, drop and keep"),
        ({"id2label": {"0": "O", "1": "B", "2": "I"}}, "has 3 labels"),
        ({"vocab_size": 100}, "its tokenizer has .* tokens, its model only 100"),
        ({"num_labels": "two"}, "has two labels"),
        ({"max_position_embeddings": 8}, "too short"),
        ({"max_position_embeddings": "many"}, "max_position_embeddings is 'many', not a number"),
    ],
)
def test_another_kind_of_model_is_refused(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    write(tmp_path, {**CONFIG, **changes})
    with pytest.raises(CheckpointError, match=says):
        find(str(tmp_path)).tokenizer()


def test_older_vocabularies_need_an_extra_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    (tmp_path / "tokenizer.json").rename(tmp_path / "vocab.txt")
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.delitem(sys.modules, "proxy.compress.convert", raising=False)
    with pytest.raises(CheckpointError, match=r"has vocab\.txt .* pip install 'precis-proxy\[tor"):
        find(str(tmp_path)).tokenizer(tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    "settings,says",
    [
        ({"engine": "torch"}, "no weights for PyTorch, only model_int8.onnx"),
        ({"engine": "onnx", "precision": "fp32"}, "no weights for precision fp32"),
        ({"precision": "bf16"}, "no weights for PyTorch"),
        ({"engine": "abacus"}, "no engine 'abacus'"),
    ],
)
def test_an_engine_without_its_weights_is_refused(settings: dict[str, str], says: str) -> None:
    with pytest.raises(CheckpointError, match=says):
        Compressor.load("builtin", **settings)


@pytest.mark.parametrize("content", [b"no model", BUILTIN.joinpath("model_int8.onnx")])
def test_a_damaged_onnx_file_is_refused(tmp_path: Path, content: bytes | Path) -> None:
    write(tmp_path, {**CONFIG, "vocab_size": 30_522})
    cut = content if isinstance(content, bytes) else content.read_bytes()[:100_000]
    (tmp_path / "model_int8.onnx").write_bytes(cut)
    with pytest.raises(CheckpointError, match="is no ONNX model that can be run"):
        Compressor.load(str(tmp_path))


def test_parts_that_an_index_names_must_be_there(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "model-1.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}')
    assert "lacks model-2.safetensors" in refusal(tmp_path)
    (tmp_path / "model-2.safetensors").write_bytes(safetensors({"b": 5}))
    assert len(find(str(tmp_path)).torch) == 2
    index.write_text("[]")
    assert "has no weight_map" in refusal(tmp_path)


# Fingerprints.


def test_a_fingerprint_tells_weights_tokenizer_and_configuration(tmp_path: Path) -> None:
    def fingerprint() -> str:
        return find(str(tmp_path)).fingerprint

    write(tmp_path)
    seen = {fingerprint()}
    assert fingerprint() in seen
    (tmp_path / "README.md").write_text("not a weight")
    assert fingerprint() in seen
    (tmp_path / "model.safetensors").write_bytes(safetensors({"classifier.weight": 64}, 1))
    seen.add(fingerprint())
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, "hidden_act": "relu"}))
    seen.add(fingerprint())
    (tmp_path / "tokenizer.json").write_text(tokenizer("distilbert").to_str() + " ")
    seen.add(fingerprint())
    assert len(seen) == 4


@pytest.mark.parametrize("changed", ["head", "body", "tail"])
def test_of_large_weights_a_change_in_any_tensor_is_seen(tmp_path: Path, changed: str) -> None:
    sizes = {"body": 70 << 20, "head": 1000, "tail": 3 << 20}
    file = tmp_path / "model.safetensors"
    content = np.frombuffer(safetensors(sizes), dtype=np.uint8).copy()
    file.write_bytes(content.tobytes())
    before = weights.digest([file])
    assert weights.digest([file]) == before
    begin = len(content) - sum(sizes.values())
    for name, size in sizes.items():
        if name == changed:
            content[begin : begin + size] += 1  # as training does: all of its numbers
        begin += size
    file.write_bytes(content.tobytes())
    assert weights.digest([file]) != before


def test_a_fingerprint_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find(str(write(tmp_path)))
    first = found.fingerprint
    monkeypatch.setattr(checkpoint.weights, "digest", lambda _: pytest.fail("read again"))
    assert found.fingerprint == first
