"""Builds a classifier with random weights in every form that the contenders read.

``python -m tests.bench.checkpoint SHAPE TOKENIZER_JSON FOLDER`` runs in the peers' environment.
FOLDER gets safetensors and tokenizer for ``llmlingua``, and ``model.onnx`` and ``model_int8.onnx``
made of the same weights by the export that ships. Speed does not ask what the weights say.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch
from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

from proxy.compress.export import to_int8, to_onnx

SHAPES: dict[str, dict[str, int]] = {
    "minilm": {
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
        "vocab_size": 30_522,
    },
    "mbert": {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "vocab_size": 119_547,
    },
}


def save_tokenizer(tokenizer_json: Path, folder: Path) -> None:
    """The WordPiece tokenizer as both read it."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(tokenizer_json),
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
        model_max_length=512,
    )
    tokenizer.save_pretrained(folder)
    shutil.copy(tokenizer_json, folder / "tokenizer.json")


def main(shape: str, tokenizer_json: Path, folder: Path) -> None:
    """Writes everything; ``done`` comes last, so that half a folder is never used."""
    torch.manual_seed(0)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = BertConfig(num_labels=2, attn_implementation="eager", **SHAPES[shape])
    model = BertForTokenClassification(config).eval()
    model.save_pretrained(folder)
    save_tokenizer(tokenizer_json, folder)
    to_onnx(model, folder / "model.onnx")
    to_int8(folder / "model.onnx", folder / "model_int8.onnx")
    (folder / "done").touch()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
