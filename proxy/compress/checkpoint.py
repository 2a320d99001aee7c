"""Finds and reads a classifier's directory: configuration, tokenizer, which weights it has.

Takes the shipped models by name, any directory in LLMLingua-2's format, whatever it is called,
and hub ids. Runs nothing; the engines do.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as HuggingFaceTokenizer

from proxy.compress import cache, hub, weights
from proxy.compress.tokenize import Tokenizer
from proxy.errors import CheckpointError

SHIPPED = {"builtin": "builtin", "builtin-fast": "builtin_fast"}
WINDOW = 512
"""Most tokens of a window where a checkpoint's card does not say: what LLMLingua-2 trains with.
Attention costs the square of it, so models that could read 8,192 are not asked to."""
_MODELS = Path(__file__).parent.parent / "models"
_VOCABULARIES = (
    "vocab.txt", "vocab.json", "merges.txt", "bpe.codes", "spm.model", "spiece.model",
    "sentencepiece.bpe.model", "tokenizer.model",
)  # fmt: skip
# These count positions from padding_idx + 1, so as many of their embeddings are never used.
_OFFSET = frozenset(
    "roberta xlm-roberta xlm-roberta-xl roberta-prelayernorm camembert data2vec-text ibert "
    "longformer luke mluke mpnet xmod".split()
)


@dataclass(frozen=True)
class Checkpoint:
    """One classifier on disk."""

    name: str
    path: Path
    config: dict[str, Any]
    """The Hugging Face config.json."""
    card: dict[str, Any]
    """precis.json: window, languages, ...; empty for a checkpoint that is not ours."""

    @property
    def window(self) -> int:
        """Most tokens of one window, special tokens included."""
        positions = self._number(self.config, "max_position_embeddings", 0)
        if positions <= 0:  # relative positions without an end
            positions = WINDOW
        if self.config.get("model_type") in _OFFSET:
            positions -= 1 + self._number(self.config, "pad_token_id", 1)
        return min(self._number(self.card, "window", WINDOW), positions, self._tokenizer_limit)

    @cached_property
    def _tokenizer_limit(self) -> int:
        file = self.path / "tokenizer_config.json"
        settings = _read_json(file, self.name) if file.is_file() else {}
        # transformers writes 1e30 for "none".
        return self._number(settings, "model_max_length", 10**30)

    @property
    def label_keep(self) -> int:
        """Column of the logits that means keep; 1 in LLMLingua-2's format."""
        return self._number(self.card, "label_keep", 1)

    @property
    def sentence_share(self) -> float:
        """How much of a word's worth is its sentence's, in [0, 1); 0 in LLMLingua-2's format."""
        share = self.card.get("sentence_share", 0)
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
            raise CheckpointError(
                f"{self.name}: sentence_share is {share!r}, not a number from 0 to below 1"
            )
        return float(share)

    @property
    def capitals(self) -> bool:
        """Whether it was trained with capitals marked by token types, as ours are."""
        return self.config.get("token_types") == "capitals"

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that it reads; empty if it does not say."""
        return tuple(self.card.get("languages", ()))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, shortened, of configuration, weights and tokenizer: changes if scores may."""
        names = ("config.json", "precis.json", *self._vocabulary)
        files = [self.path / name for name in names]
        return weights.digest([*filter(Path.is_file, files), *self.weights()])[:16]

    def _number(self, settings: dict[str, Any], key: str, default: int) -> int:
        value = settings.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CheckpointError(f"{self.name}: {key} is {value!r}, not a number")
        return int(value)

    @property
    def _vocabulary(self) -> tuple[str, ...]:
        whole = (self.path / "tokenizer.json").is_file()
        return ("tokenizer.json",) if whole else ("tokenizer_config.json", *_VOCABULARIES)

    @property
    def onnx(self) -> dict[str, Path]:
        """Its ONNX files by precision."""
        return weights.onnx_files(self.path)

    @property
    def torch(self) -> tuple[Path, ...]:
        """The files with its PyTorch weights."""
        return weights.torch_files(self.path)

    def weights(self) -> tuple[Path, ...]:
        """The weight files that are there, the smallest first."""
        return (*self.onnx.values(), *self.torch)

    def tokenizer(self, cache_folder: Path | None = None) -> Tokenizer:
        """Its tokenizer; one without tokenizer.json is converted by transformers, once.

        Raises CheckpointError if it is missing, damaged, or knows more tokens than the model.
        """
        file = self.path / "tokenizer.json"
        if not file.is_file():
            folder = cache_folder or cache.default({})
            key = f"{self.fingerprint}-tokenizer"
            file = cache.entry(folder, key, self._convert) / "tokenizer.json"
        try:
            inner = HuggingFaceTokenizer.from_file(str(file))
        except Exception as exc:  # tokenizers raises bare Exception for a file it can't read
            raise CheckpointError(f"{file} is damaged: {exc}") from exc
        known = self._number(self.config, "vocab_size", inner.get_vocab_size())
        if inner.get_vocab_size() > known or inner.id_to_token(known) is not None:
            raise CheckpointError(
                f"{self.name}: its tokenizer has {inner.get_vocab_size()} tokens, its model only "
                f"{known}; one of them is another checkpoint's"
            )
        return Tokenizer(inner, _unknown_token(file), capitals=self.capitals)

    def _convert(self, folder: Path) -> None:
        there = [name for name in _VOCABULARIES if (self.path / name).is_file()]
        if not there:
            raise CheckpointError(
                f"{self.name}: no tokenizer.json in {self.path}, nor another vocabulary; save it "
                "there with AutoTokenizer.from_pretrained(...).save_pretrained(...)"
            )
        to_file = _converter(f"{self.name} has {', '.join(there)} but no tokenizer.json")
        to_file(self.path, folder / "tokenizer.json")


def find(model: str) -> Checkpoint:
    """The checkpoint called ``model``: a shipped name, a directory, or a hub id.

    Raises CheckpointError that says what is missing or wrong.
    """
    name, path = _locate(model)
    config = _read_json(path / "config.json", model)
    card = _read_json(path / "precis.json", model) if (path / "precis.json").is_file() else {}
    checkpoint = Checkpoint(name, path, config, card)
    _check(checkpoint)
    return checkpoint


def _locate(model: str) -> tuple[str, Path]:
    if model in SHIPPED:
        return model, _MODELS / SHIPPED[model]
    path = Path(model)
    with contextlib.suppress(RuntimeError):  # "~somebody/..." of somebody who isn't here
        path = path.expanduser()
    if path.is_dir():
        return path.resolve().name, path
    if path.is_file():
        raise CheckpointError(f"{model} is a file; give the directory that it is in")
    if model.count("/") != 1 or model.startswith((".", "/", "~")):
        raise CheckpointError(
            f"no model {model!r}: give {', '.join(SHIPPED)}, a directory that exists or a hub id"
        )
    return model, hub.fetch(model)


def _check(checkpoint: Checkpoint) -> None:
    name, config = checkpoint.name, checkpoint.config
    kinds = config.get("architectures") or []
    if kinds and not any("ForTokenClassification" in str(kind) for kind in kinds):
        raise CheckpointError(
            f"{name} is no token classifier: its config.json says {', '.join(map(str, kinds))}; "
            "train one from it with precis train"
        )
    labels = len(config.get("id2label") or ()) or config.get("num_labels", 2)
    if labels != 2:
        raise CheckpointError(
            f"{name} has {labels} labels; LLMLingua-2's format has 2, drop and keep"
        )
    if not checkpoint.weights():
        raise CheckpointError(
            f"{name}: no weights in {checkpoint.path}; expected model_int8.onnx, model.onnx, "
            "model.safetensors or pytorch_model.bin"
        )
    for file in checkpoint.weights():
        weights.check(file)
    if checkpoint.label_keep not in (0, 1):
        raise CheckpointError(f"{name}: label_keep is {checkpoint.label_keep}; it is 0 or 1")
    if checkpoint.window < 16:
        raise CheckpointError(f"{name}: windows of {checkpoint.window} tokens are too short to use")


def _read_json(file: Path, model: str) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise CheckpointError(f"{model}: no {file.name} in {file.parent}") from exc
    except ValueError as exc:
        raise CheckpointError(f"{file} is not valid JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise CheckpointError(f"{file} must hold a JSON object")
    return value


def _converter(why: str) -> Callable[[Path, Path], None]:
    try:
        from proxy.compress.convert import to_tokenizer_json  # heavy, and rarely needed
    except ImportError as exc:
        raise CheckpointError(
            f"{why}; to convert it: pip install 'precis-proxy[torch]', or save it with "
            "AutoTokenizer.from_pretrained(...).save_pretrained(...) elsewhere"
        ) from exc
    return to_tokenizer_json


def _unknown_token(tokenizer_json: Path) -> str | None:
    settings = json.loads(tokenizer_json.read_text(encoding="utf-8"))
    model = settings.get("model", {})
    if isinstance(model.get("unk_token"), str):
        return str(model["unk_token"])
    if isinstance(model.get("unk_id"), int):  # Unigram names it by its place
        return str(model["vocab"][model["unk_id"]][0])
    return None
