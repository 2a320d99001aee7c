"""Turns a checkpoint's PyTorch weights into an ONNX file, once: the next start finds it.

Attention is traced eager: the SDPA graph is three times slower and hides the pattern that ONNX
Runtime fuses. Whatever comes out is compared with PyTorch before it is used.
"""

from __future__ import annotations

import gc
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from proxy.compress import cache, trial
from proxy.compress.checkpoint import Checkpoint
from proxy.compress.scorer import Floats, Ints
from proxy.compress.tokenize import Tokenizer
from proxy.compress.trial import Agreement
from proxy.compress.weights import ONNX
from proxy.errors import CheckpointError

VERSION = 4
"""Part of the cache's keys; raise it when the same weights give another file."""
MAX_DIFFERENCE = 1e-3
"""In P(keep), between PyTorch and the exported fp32 file; seen are 1e-6 to 1e-5."""


def onnx_file(
    checkpoint: Checkpoint, tokenizer: Tokenizer, precision: str, cache_folder: Path
) -> Path:
    """The checkpoint as ONNX, made on the first call and kept in ``cache_folder``.

    ``precision``: ``fp32``, ``int8``, or ``auto``: int8 if it agrees with fp32 on a sample text
    (see ``Agreement.good``), else fp32. Raises CheckpointError if something needed is missing, or
    if the result's scores are not PyTorch's.
    """
    key = f"{checkpoint.fingerprint}-onnx{VERSION}-"
    made_before = cache_folder / f"{key}fp32" / ONNX["fp32"]
    exact = checkpoint.onnx.get("fp32") or (made_before if made_before.is_file() else None)

    def make(folder: Path) -> None:
        sample = trial.windows(tokenizer, checkpoint.window)
        _Export(checkpoint, precision, exact, sample).write(folder)

    folder = cache.entry(cache_folder, key + precision, make)
    return next(folder / name for name in ONNX.values() if (folder / name).is_file())


def to_onnx(model: Any, file: Path) -> None:
    """Exports a classifier, loaded with eager attention, in fp32 with free batch and token axes."""
    from proxy.compress import onnx, torch  # heavy, and only for export

    config = model.config
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        raw = Path(folder) / "raw.onnx"
        torch.trace(model, raw)
        heads, width = config.num_attention_heads, config.hidden_size
        onnx.fuse(raw, file, config.model_type, heads, width)


def to_int8(source: Path, file: Path) -> None:
    """Dynamic int8 of an fp32 ONNX file's matrix products and embeddings."""
    from proxy.compress import onnx

    onnx.quantize(source, file)


@dataclass(frozen=True)
class _Export:
    checkpoint: Checkpoint
    precision: str
    known: Path | None
    """The fp32 file, if there is one already."""
    sample: Sequence[Ints]
    """Windows to compare scores on."""

    def write(self, folder: Path) -> None:
        """Fills the folder: one ONNX file, and in export.json how well it agrees."""
        exact, small = folder / ONNX["fp32"], folder / ONNX["int8"]
        report: dict[str, Any] = {"exporter": VERSION, "model": self.checkpoint.name}
        if self.known is None:
            report["fp32"] = asdict(self._exact(exact))
        else:
            for part in self.known.parent.glob(f"{self.known.name}*"):  # weights may be apart
                shutil.copy(part, folder)
        if self.precision != "fp32":
            _need(self.checkpoint, "onnx")
            to_int8(exact, small)
            near = trial.compare(self._scores(exact), self._scores(small))
            report["int8"] = asdict(near)
            _remove(small if self.precision == "auto" and not near.good else exact)
        (folder / "export.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")

    def _exact(self, file: Path) -> Agreement:
        _need(self.checkpoint, "torch", "transformers", "onnx")
        from proxy.compress import torch

        model, keep = torch.load(self.checkpoint.path, eager=True), self.checkpoint.label_keep
        wanted = [torch.score(model, ids, keep) for ids in self.sample]
        to_onnx(model, file)
        del model
        gc.collect()  # modules refer to one another, and what follows wants the memory
        near = trial.compare(wanted, self._scores(file))
        if not near.largest_difference <= MAX_DIFFERENCE:  # also where it is no number
            raise CheckpointError(
                f"{self.checkpoint.name}: exported to ONNX it scores differently, by up to "
                f"{near.largest_difference:.2g}; use engine: torch"
            )
        return near

    def _scores(self, file: Path) -> list[Floats]:
        from proxy.compress.onnx import OnnxScorer

        scorer = OnnxScorer(file, name="", fingerprint="", label_keep=self.checkpoint.label_keep)
        return [scorer.score(ids) for ids in self.sample]


def _need(checkpoint: Checkpoint, *packages: str) -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise CheckpointError(
            f"{checkpoint.name} has no ONNX file that fits, and making one needs "
            f"{', '.join(missing)}: pip install 'precis-proxy[torch]' (for this once), or give a "
            "directory with model.onnx"
        )


def _remove(file: Path) -> None:
    for part in file.parent.glob(f"{file.name}*"):
        part.unlink()
