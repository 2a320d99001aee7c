"""Finds and reads a classifier's directory: configuration, tokenizer, which weights it has.

Takes the shipped models by name, any directory in LLMLingua-2's format, whatever it is called,
and hub ids. Runs nothing; the engines do.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as HuggingFaceTokenizer

from proxy.compress.tokenize import Tokenizer
from proxy.errors import CheckpointError

SHIPPED = {"builtin": "builtin", "builtin-fast": "builtin_fast"}
_MODELS = Path(__file__).parent.parent / "models"


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
        positions = int(self.config.get("max_position_embeddings", 512))
        # RoBERTa and XLM-R count positions from padding_idx + 1.
        if self.config.get("model_type") in ("roberta", "xlm-roberta", "camembert"):
            positions -= int(self.config.get("pad_token_id", 1)) + 1
        return min(int(self.card.get("window", 512)), positions)

    @property
    def label_keep(self) -> int:
        """Column of the logits that means keep; 1 in LLMLingua-2's format."""
        return int(self.card.get("label_keep", 1))

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that it reads; empty if it does not say."""
        return tuple(self.card.get("languages", ()))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, shortened, of the weights and the tokenizer: changes when scores may."""
        digest = hashlib.sha256()
        for file in (*self.weights(), self.path / "tokenizer.json"):
            digest.update(file.read_bytes())
        return digest.hexdigest()[:16]

    def weights(self) -> tuple[Path, ...]:
        """The weight files that are there, the smallest first."""
        names = ("model_int8.onnx", "model.onnx", "model.safetensors", "pytorch_model.bin")
        return tuple(self.path / name for name in names if (self.path / name).is_file())

    def tokenizer(self) -> Tokenizer:
        """Its tokenizer. Raises CheckpointError if tokenizer.json is missing or damaged."""
        file = self.path / "tokenizer.json"
        if not file.is_file():
            raise CheckpointError(
                f"{self.name}: no tokenizer.json in {self.path}; save it there with "
                "AutoTokenizer.from_pretrained(...).save_pretrained(...)"
            )
        try:
            inner = HuggingFaceTokenizer.from_file(str(file))
        except Exception as exc:  # tokenizers raises bare Exception for a file it can't read
            raise CheckpointError(f"{file} is damaged: {exc}") from exc
        return Tokenizer(inner, _unknown_token(file))


def find(model: str) -> Checkpoint:
    """The checkpoint called ``model``: a shipped name, a directory, or a hub id.

    Raises CheckpointError that says what is missing.
    """
    path = _MODELS / SHIPPED[model] if model in SHIPPED else Path(model).expanduser()
    if not path.is_dir():
        path = _download(model)
    config = _read_json(path / "config.json", model)
    card = _read_json(path / "precis.json", model) if (path / "precis.json").is_file() else {}
    checkpoint = Checkpoint(model if model in SHIPPED else path.name, path, config, card)
    if not checkpoint.weights():
        raise CheckpointError(
            f"{model}: no weights in {path}; expected model_int8.onnx, model.onnx, "
            "model.safetensors or pytorch_model.bin"
        )
    return checkpoint


def _download(model: str) -> Path:
    if model.count("/") != 1 or model.startswith((".", "/", "~")):
        known = ", ".join(SHIPPED)
        raise CheckpointError(f"no model {model!r}: give {known}, a directory or a hub id")
    from huggingface_hub import snapshot_download  # heavy, and only for hub ids
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    wanted = ["*.json", "*.txt", "*.model", "*.safetensors", "*.onnx", "pytorch_model.bin"]
    try:
        return Path(snapshot_download(model, allow_patterns=wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as exc:
        raise CheckpointError(
            f"could not fetch {model!r} from the hub ({type(exc).__name__}); check the name and "
            "the network, or download it elsewhere and give its directory"
        ) from exc


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


def _unknown_token(tokenizer_json: Path) -> str | None:
    settings = json.loads(tokenizer_json.read_text(encoding="utf-8"))
    model = settings.get("model", {})
    if isinstance(model.get("unk_token"), str):
        return str(model["unk_token"])
    if isinstance(model.get("unk_id"), int):  # Unigram names it by its place
        return str(model["vocab"][model["unk_id"]][0])
    return None
