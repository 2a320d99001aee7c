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

import torch
from rich.console import Console
from transformers import AutoModelForTokenClassification, AutoTokenizer

from proxy.compress import trial, weights
from proxy.compress.export import to_int8, to_onnx
from proxy.compress.onnx import OnnxScorer
from proxy.compress.scorer import Ints
from proxy.compress.tokenize import Tokenizer
from proxy.compress.torch import score
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
    model: torch.nn.Module = AutoModelForTokenClassification.from_pretrained(
        str(source), attn_implementation="eager"
    )
    return model.eval()


def parity(model: Any, files: dict[str, Path], windows: list[Ints]) -> list[Parity]:
    """Compares each ONNX file with torch on the windows, special tokens included, one a run."""
    wanted = [score(model, ids, 1) for ids in windows]
    found = []
    for name, file in files.items():
        scorer = OnnxScorer(file, name=name, fingerprint="")
        near = trial.compare(wanted, [scorer.score(ids) for ids in windows])
        found.append(Parity(name, near.correlation, near.largest_difference, near.same_at_half))
    return found


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
        windows = [_window(text, model, tokenizer) for text in texts or [_SAMPLE * 4]]
        report = parity(model, files, windows)
        bar.update(task, advance=1, note="")
    card = {**card, "parity": [asdict(row) for row in report]}
    (out / "precis.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return report


def _window(text: str, model: Any, tokenizer: Any) -> Ints:
    """The text's first 256 tokens, as the compressor reads them."""
    capitals = getattr(model.config, "token_types", None) == "capitals"
    edges = Tokenizer(tokenizer.backend_tokenizer, capitals=capitals)
    return edges.around(edges.encode(text, [(0, len(text))]).ids[: 256 - edges.specials])


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
