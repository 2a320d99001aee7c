"""Makes a directory that ``compressor.model`` takes from one that ``fit.py`` wrote.

Adds ``model.onnx`` (fp32) and ``model_int8.onnx`` (dynamic int8, embeddings included) to the
directory, and a parity report of both against torch. Attention is exported eager: the SDPA graph is
three times slower and hides the pattern that ONNX Runtime fuses.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from transformers import AutoModelForTokenClassification, AutoTokenizer

_SAMPLE = (
    "Ines Okafor: Right, that is not good, to be honest. The loss comes to $47,300 before "
    "insurance, and the insurer will not pay unless we can show that the alarm was tested. "
)
_FUSED = {"bert": "bert", "roberta": "bert", "xlm-roberta": "bert", "distilbert": "bert"}


@dataclass(frozen=True)
class Parity:
    """How far an engine's P(keep) lies from torch fp32's, over the sample windows."""

    engine: str
    correlation: float
    largest_difference: float
    same_words_at_half: float
    """Share of tokens on the same side of the median."""


class _Logits(torch.nn.Module):
    """The classifier with only the inputs that vary."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def load(source: Path) -> Any:
    """The fitted classifier with eager attention."""
    model = AutoModelForTokenClassification.from_pretrained(
        str(source), attn_implementation="eager"
    )
    return model.eval()


def to_onnx(model: Any, file: Path) -> None:
    """Exports fp32 with free batch and token axes, and fuses what ONNX Runtime can fuse."""
    ids = torch.ones(1, 12, dtype=torch.long)
    free = {0: "batch", 1: "tokens"}
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.onnx"
        torch.onnx.export(
            _Logits(model).eval(),  # else the exporter leaves the model in training mode
            (ids, torch.ones_like(ids)),
            str(raw),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes={"input_ids": free, "attention_mask": free, "logits": free},
            opset_version=17,
            dynamo=False,
        )
        kind = _FUSED.get(model.config.model_type)
        if kind is None:
            shutil.copy(raw, file)
            return
        fused = optimizer.optimize_model(
            str(raw),
            model_type=kind,
            num_heads=model.config.num_attention_heads,
            hidden_size=model.config.hidden_size,
        )
        fused.save_model_to_file(str(file))


def to_int8(source: Path, file: Path) -> None:
    """Dynamic int8 of matrix products and embeddings; the head stays fp32, it costs nothing."""
    quantize_dynamic(
        str(source),
        str(file),
        weight_type=QuantType.QInt8,
        per_channel=True,
        # The fused nodes are not ONNX's own, so their types can't be inferred: all are floats.
        extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
    )


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
