"""The PyTorch engine, and the only serving file that imports torch and transformers.

For accelerators, and for checkpoints without an ONNX file. On a CPU one window a call, as the ONNX
engine; precision ``auto`` is bf16 on CUDA and fp32 elsewhere.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForTokenClassification

from proxy.compress.scorer import Floats, Ints
from proxy.errors import CheckpointError


class TorchScorer:
    """A token classifier from a Hugging Face directory."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        fingerprint: str,
        label_keep: int = 1,
        precision: str = "auto",
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.device = _device()
        dtype = _dtype(precision, self.device)
        try:
            model = AutoModelForTokenClassification.from_pretrained(
                str(folder), trust_remote_code=False, dtype=dtype
            )
        except (OSError, ValueError, RuntimeError, KeyError) as exc:
            raise CheckpointError(f"{folder}: not a token classifier: {exc}") from exc
        if model.config.num_labels != 2:
            raise CheckpointError(
                f"{folder}: a classifier with {model.config.num_labels} labels; "
                "LLMLingua-2's format has 2, drop and keep"
            )
        self._model = model.to(self.device).eval()
        self._keep = label_keep
        if self.device.type == "cpu":
            torch.set_num_threads(1)  # windows run side by side, each in one thread

    def score(self, ids: Ints) -> Floats:
        """P(keep) of each token, shape ``(tokens,)``."""
        with torch.inference_mode():
            batch = torch.from_numpy(ids)[None].to(self.device)  # (1, tokens)
            logits = self._model(input_ids=batch).logits[0].float()  # (tokens, 2)
            scores: Floats = logits.softmax(-1)[:, self._keep].cpu().numpy()
        return np.ascontiguousarray(scores)


def _device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    if precision == "int8":
        raise CheckpointError("engine torch has no int8; use engine onnx, or precision bf16")
    if precision == "bf16" or (precision == "auto" and device.type == "cuda"):
        return torch.bfloat16
    return torch.float32
