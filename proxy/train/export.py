"""Makes a directory that ``compressor.model`` takes from one that ``fit.py`` wrote.

Adds ``model.onnx`` (fp32) and ``model_int8.onnx`` (dynamic int8, embeddings included) to the
directory, and a parity report of both against torch.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

from proxy.compress.export import to_int8, to_onnx

_SAMPLE = (
    "Ines Okafor: Right, that is not good, to be honest. The loss comes to $47,300 before "
    "insurance, and the insurer will not pay unless we can show that the alarm was tested. "
)


@dataclass(frozen=True)
class Parity:
    """How far an engine's P(keep) lies from torch fp32's, over the sample windows."""

    engine: str
    correlation: float
    largest_difference: float
    same_words_at_half: float
    """Share of tokens on the same side of the median."""


def load(source: Path) -> Any:
    """The fitted classifier with eager attention."""
    model = AutoModelForTokenClassification.from_pretrained(
        str(source), attn_implementation="eager"
    )
    return model.eval()


def parity(model: Any, tokenizer: Any, files: dict[str, Path], texts: list[str]) -> list[Parity]:
    """Compares each ONNX file with torch on windows of the texts, one window a run."""
    windows = [tokenizer(t, truncation=True, max_length=256)["input_ids"] for t in texts]
    with torch.inference_mode():
        wanted = [_keep(model(torch.tensor([ids])).logits[0].numpy()) for ids in windows]
    found = []
    for name, file in files.items():
        session = onnxruntime.InferenceSession(str(file))
        got = [_keep(_run(session, ids)) for ids in windows]
        same = [
            float(np.mean((a >= np.median(a)) == (b >= np.median(b))))
            for a, b in zip(wanted, got, strict=True)
        ]
        one, other = np.concatenate(wanted), np.concatenate(got)
        found.append(
            Parity(
                name,
                float(np.corrcoef(one, other)[0, 1]),
                float(np.abs(one - other).max()),
                float(np.mean(same)),
            )
        )
    return found


def _run(session: Any, ids: list[int]) -> Any:
    array = np.array([ids], dtype=np.int64)
    feed = {"input_ids": array, "attention_mask": np.ones_like(array)}
    return session.run(["logits"], feed)[0][0]


def _keep(logits: Any) -> Any:
    return 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))


def main(
    source: Path, out: Path, card: dict[str, Any], texts: list[str] | None = None
) -> list[Parity]:
    """Writes the ONNX files, tokenizer.json, config.json and precis.json into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    model = load(source)
    tokenizer = AutoTokenizer.from_pretrained(str(source))
    to_onnx(model, out / "model.onnx")
    to_int8(out / "model.onnx", out / "model_int8.onnx")
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.save(str(out / "tokenizer.json"))
    model.config.save_pretrained(str(out))
    files = {"onnx fp32": out / "model.onnx", "onnx int8": out / "model_int8.onnx"}
    report = parity(model, tokenizer, files, texts or [_SAMPLE * 4])
    card = {**card, "parity": [asdict(row) for row in report]}
    (out / "precis.json").write_text(json.dumps(card, indent=1) + "\n")
    return report
