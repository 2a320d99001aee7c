"""Chooses what runs a checkpoint, where, and at which precision."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from proxy.compress import cache, trial
from proxy.compress.checkpoint import Checkpoint
from proxy.compress.export import onnx_file
from proxy.compress.scorer import Scorer
from proxy.compress.tokenize import Tokenizer
from proxy.errors import CheckpointError


def open_scorer(
    checkpoint: Checkpoint,
    tokenizer: Tokenizer,
    engine: str,
    precision: str,
    cache_folder: Path | None = None,
) -> Scorer:
    """The scorer for a checkpoint; with its tokenizer a sample text is read to check results on.

    Engine ``auto`` is PyTorch where there are weights for it and an accelerator, else ONNX
    Runtime. There ``auto`` precision is the smallest file that the checkpoint has; without one it
    is exported into ``cache_folder`` (the user's own if not given). Raises CheckpointError with a
    remedy.
    """
    if engine not in ("auto", "onnx", "torch"):
        raise CheckpointError(f"no engine {engine!r} can load {checkpoint.name} here")
    if engine == "torch" or (engine == "auto" and _wants_torch(checkpoint, precision)):
        return _torch(checkpoint, tokenizer, precision)
    if precision == "bf16":
        raise CheckpointError("engine onnx has no bf16; use engine torch, or another precision")
    file = _own_file(checkpoint, precision)
    if file is None:
        folder = cache_folder or cache.default({})
        file = onnx_file(checkpoint, tokenizer, precision, folder)
    return _onnx(checkpoint, file)


def _wants_torch(checkpoint: Checkpoint, precision: str) -> bool:
    if precision == "bf16":
        return True
    if precision == "int8" or not checkpoint.torch or find_spec("torch") is None:
        return False
    try:
        from proxy.compress.torch import device  # heavy, and in an extra of its own
    except ImportError:  # transformers is missing
        return False
    return device().type != "cpu"


def _torch(checkpoint: Checkpoint, tokenizer: Tokenizer, precision: str) -> Scorer:
    if not checkpoint.torch:
        files = ", ".join(file.name for file in checkpoint.weights())
        raise CheckpointError(
            f"{checkpoint.name} has no weights for PyTorch, only {files}; use engine onnx, and "
            "precision fp32, int8 or auto"
        )
    try:
        from proxy.compress.torch import TorchScorer
    except ImportError as exc:
        raise CheckpointError(
            f"{checkpoint.name} needs PyTorch: pip install 'precis-proxy[torch]'"
        ) from exc
    return TorchScorer(
        checkpoint.path,
        name=checkpoint.name,
        fingerprint=checkpoint.fingerprint,
        label_keep=checkpoint.label_keep,
        precision=precision,
        sample=trial.windows(tokenizer, checkpoint.window),
        longest=checkpoint.window,
    )


def _own_file(checkpoint: Checkpoint, precision: str) -> Path | None:
    """The checkpoint's ONNX file of that precision; None if it has to be made and can be."""
    files = checkpoint.onnx
    file = next(iter(files.values()), None) if precision == "auto" else files.get(precision)
    if file is None and not checkpoint.torch and precision not in ("int8", "auto"):
        there = ", ".join(found.name for found in files.values())
        raise CheckpointError(
            f"{checkpoint.name} has no weights for precision {precision}, only {there}"
        )
    return file


def _onnx(checkpoint: Checkpoint, file: Path) -> Scorer:
    from proxy.compress.onnx import OnnxScorer  # heavy; other engines don't need it

    return OnnxScorer(
        file,
        name=checkpoint.name,
        fingerprint=f"{checkpoint.fingerprint}-{file.stem}",
        label_keep=checkpoint.label_keep,
    )
