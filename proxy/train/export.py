"""Makes a directory that ``compressor.model`` and llmlingua take from one that ``fit.py`` wrote.

It holds the PyTorch weights and the tokenizer, ``model.onnx`` (fp32), ``model_int8.onnx`` (dynamic
int8, embeddings included), and in ``precis.json`` a parity report of both against torch. A file
that a stopped run has finished is not made again from the same weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from rich.console import Console
from transformers import AutoModelForTokenClassification, AutoTokenizer

from proxy.compress import weights
from proxy.compress.export import to_int8, to_onnx
from proxy.errors import ConfigError
from proxy.train.distill_console import progress

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
    source: Path,
    out: Path,
    card: dict[str, Any],
    texts: list[str] | None = None,
    console: Console | None = None,
) -> list[Parity]:
    """Fills ``out``, which must not be ``source``; parity is measured on ``texts``."""
    if source.resolve() == out.resolve():
        raise ConfigError([f"{out}: export into a directory of its own"])
    out.mkdir(parents=True, exist_ok=True)
    files = {"onnx fp32": out / "model.onnx", "onnx int8": out / "model_int8.onnx"}
    done = Done(out, source)
    with progress(console or Console(stderr=True)) as bar:
        task = bar.add_task("export", total=4, note="weights and tokenizer")
        model = load(source)
        tokenizer = AutoTokenizer.from_pretrained(str(source))
        save_for_torch(model, tokenizer, out)
        bar.update(task, advance=1, note="fp32")
        done.make(files["onnx fp32"], lambda file: to_onnx(model, file))
        bar.update(task, advance=1, note="int8")
        done.make(files["onnx int8"], lambda file: to_int8(files["onnx fp32"], file))
        bar.update(task, advance=1, note="comparing")
        report = parity(model, tokenizer, files, texts or [_SAMPLE * 4])
        bar.update(task, advance=1, note="")
    card = {**card, "parity": [asdict(row) for row in report]}
    (out / "precis.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return report


def save_for_torch(model: Any, tokenizer: Any, out: Path) -> None:
    """Weights, configuration and tokenizer as transformers reads them, and so llmlingua."""
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.save(str(out / "tokenizer.json"))


class Done:
    """Which files a directory has whole, made from which weights."""

    def __init__(self, out: Path, source: Path) -> None:
        self._file = out / "export.json"
        self._source = weights.digest([source / "config.json", *weights.torch_files(source)])
        told = json.loads(self._file.read_text("utf-8")) if self._file.is_file() else {}
        self._names = told["files"] if told.get("source") == self._source else []

    def make(self, file: Path, write: Callable[[Path], None]) -> None:
        """Writes the file unless it is there; from other weights it is made anew."""
        if file.name in self._names and file.is_file():
            return
        write(file)
        self._names = [*self._names, file.name]
        told = json.dumps({"source": self._source, "files": self._names})
        self._file.write_text(told + "\n", encoding="utf-8")
