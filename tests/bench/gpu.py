"""How near the torch engine comes to an accelerator's limit, on random weights of three shapes.

``python -m tests.bench.gpu`` prints tokens per second of the bare model and of the whole way from a
text to a shorter one, the share of what is computed that is padding, and the share of the card's
peak: of a large matrix product measured beside it, and of the data sheet where the card is known.
``--profile`` adds where the time goes. ``--device cpu`` tries it out where there is no accelerator.
All shapes read the shipped WordPiece vocabulary; speed does not ask what the weights say.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoConfig, AutoModelForTokenClassification

from proxy.compress import Compressor, batches
from proxy.compress import torch as engine
from proxy.compress.checkpoint import find
from proxy.compress.draft import Draft, Job, Reader
from proxy.compress.scorer import Ints
from proxy.tokens import encoding
from tests.bench import report
from tests.bench.checkpoint import save_tokenizer
from tests.bench.prose import prose
from tests.bench.report import Mark

RESULT = "gpu"
TOKENIZER = Path(__file__).parents[2] / "proxy" / "models" / "builtin" / "tokenizer.json"
SHEET = {
    "H200": 989, "H100 PCIe": 756, "H100": 989, "GH200": 989, "A100": 312, "L40S": 362, "L4": 121,
    "A10": 125, "4090": 165, "T4": 65,
}  # fmt: skip
"""Dense half-precision TFLOP/s by a part of the card's name, the first that fits."""


@dataclass(frozen=True)
class Shape:
    """A family and its sizes."""

    family: str
    width: int
    layers: int
    heads: int
    inner: int
    vocabulary: int

    def save(self, folder: Path) -> Path:
        """A checkpoint with random weights."""
        torch.manual_seed(0)
        offset = {"max_position_embeddings": 514, "pad_token_id": 1}
        config = AutoConfig.for_model(
            self.family,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.inner,
            vocab_size=self.vocabulary,
            num_labels=2,
            **(offset if self.family == "xlm-roberta" else {}),
        )
        AutoModelForTokenClassification.from_config(config).save_pretrained(folder)
        save_tokenizer(TOKENIZER, folder)
        return folder

    def flops(self, length: float) -> float:
        """Of one token in a window of so many: products with weights, and attention."""
        weights = 4 * self.width**2 + 2 * self.width * self.inner
        return self.layers * (2 * weights + 4 * length * self.width)


SHAPES = {
    "xlmr-large": Shape("xlm-roberta", 1024, 24, 16, 4096, 250_002),
    "mbert": Shape("bert", 768, 12, 12, 3072, 119_547),
    "minilm": Shape("bert", 384, 6, 12, 1536, 30_522),
}


@dataclass(frozen=True)
class Seen:
    """What was measured of one shape; tokens are the classifier's own."""

    precision: str
    windows: int
    tokens: int
    padding: float
    """Share of the computed tokens that no window has."""
    per_second: float
    """Of the bare model, windows given."""
    end_to_end: float
    """From the text to the shorter text, in cl100k tokens."""
    tflops: float
    """Useful ones: of real tokens."""


def measure(shape: Shape, place: torch.device, wish: argparse.Namespace, console: Console) -> Seen:
    """Builds the shape, warms it up, and takes the median of the rounds."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = find(str(shape.save(Path(folder) / "model")))
        tokenizer = checkpoint.tokenizer()
        known: dict[str, Any] = {"longest": checkpoint.window, "batch_tokens": wish.go}
        scorer = engine.TorchScorer(
            checkpoint.path, name="", fingerprint="", place=place, precision=wish.precision, **known
        )
    reader = Reader(tokenizer, checkpoint.window)
    text = prose(wish.tokens)
    draft = Draft.of(Job(text), reader)
    windows = [tokenizer.around(draft.ids(window)) for window in draft.windows]
    lengths = [len(ids) for ids in windows]
    size = min(wish.go, engine.BATCH_TOKENS) or 1
    computed = sum(b.rows * b.length for b in batches.plan(lengths, checkpoint.window, size))
    seconds = timed(lambda: in_goes(scorer, windows), wish.rounds)
    if wish.profile:
        console.print(profile(lambda: in_goes(scorer, windows), place))
    compressor = Compressor(scorer, reader)
    whole = timed(lambda: compressor.compress(text, 0.5), wish.rounds)
    per_second = sum(lengths) / seconds
    mean = sum(lengths) / len(lengths)
    return Seen(
        scorer.precision,
        len(windows),
        sum(lengths),
        1 - sum(lengths) / computed,
        per_second,
        encoding().count(text) / whole,
        per_second * shape.flops(mean) / 1e12,
    )


def in_goes(scorer: engine.TorchScorer, windows: Sequence[Ints]) -> None:
    """All windows as the queue hands them over: so many tokens in one go."""
    go: list[Ints] = []
    for ids in windows:
        go.append(ids)
        if sum(map(len, go)) >= scorer.batch_tokens:
            scorer.score_many(go)
            go = []
    scorer.score_many(go)


def timed(work: Callable[[], object], rounds: int) -> float:
    """Median seconds, after one round that does not count."""
    work()
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return median(seconds)


def peak(place: torch.device, precision: str, rounds: int) -> float:
    """TFLOP/s of a large matrix product, the best of the rounds."""
    size = 512 if place.type == "cpu" else 8192
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    left, right = (torch.randn(size, size, device=place).to(dtype) for _ in range(2))

    def product() -> None:
        for _ in range(10):
            result = left @ right
        result[0, 0].item()  # waits for all of them

    product()
    best = min(timed(product, 1) for _ in range(rounds))
    return 10 * 2 * size**3 / best / 1e12


def profile(work: Callable[[], object], place: torch.device) -> str:
    """Where the time goes, the largest part first."""
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if place.type == "cuda":
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=kinds) as seen:
        work()
    key = "self_cuda_time_total" if place.type == "cuda" else "self_cpu_time_total"
    return str(seen.key_averages().table(sort_by=key, row_limit=15))


def show(console: Console, title: str, seen: dict[str, Seen], peaks: dict[str, float]) -> None:
    """One line a shape."""
    table = Table(title=title, title_justify="left")
    columns = ("shape", "precision", "model, tokens/s", "end to end", "padding", "TFLOP/s")
    for name in (*columns, *(f"of {peak}" for peak in peaks)):
        table.add_column(name, justify="left" if name in columns[:2] else "right")
    for name, one in seen.items():
        speeds = f"{one.per_second:,.0f}", f"{one.end_to_end:,.0f}", f"{one.padding:.0%}"
        shares = [f"{one.tflops / value:.0%}" for value in peaks.values()]
        table.add_row(name, one.precision, *speeds, f"{one.tflops:.3g}", *shares)
    console.print(table)


def marks(seen: dict[str, Seen], card: str) -> list[Mark]:
    """What is asked of a card of that class."""
    if "H200" not in card or "xlmr-large" not in seen:
        return []
    value = seen["xlmr-large"].end_to_end
    return [Mark("xlmr-large end to end, tokens/s", value, 400_000, at_least=True)]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs it; returns 1 if a mark was missed, 2 where there is no accelerator."""
    wish = _arguments().parse_args(argv)
    console = Console(width=130 if not sys.stdout.isatty() else None)
    place = engine.device() if wish.device == "auto" else torch.device(wish.device)
    if wish.device == "auto" and place.type == "cpu":
        console.print("No accelerator here (CUDA or MPS); --device cpu tries this out without one.")
        return 2
    wish.tokens = wish.tokens or (2_000 if place.type == "cpu" else 400_000)
    busy = report.machine()
    seen = {name: measure(SHAPES[name], place, wish, console) for name in wish.shapes.split(",")}
    card = torch.cuda.get_device_name(place) if place.type == "cuda" else place.type
    precision = next(iter(seen.values())).precision
    peaks = {"a product's": peak(place, precision, wish.rounds)}
    sheet = next((value for part, value in SHEET.items() if part in card), None)
    if sheet and precision != "fp32":
        peaks["the data sheet's"] = float(sheet)
    show(console, f"{card}, a text of {wish.tokens:,} tokens", seen, peaks)
    found = marks(seen, card)
    reached = report.show_marks(console, found) if found else True
    told = {name: asdict(one) for name, one in seen.items()}
    result = {"card": card, "torch": torch.__version__, "peaks_tflops": peaks, "shapes": told}
    report.show_end(console, busy, report.save(RESULT, {"before": busy, **result}, found))
    return 0 if reached else 1


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu", description=__doc__)
    parser.add_argument("--device", choices=("auto", "cuda", "mps", "cpu"), default="auto")
    parser.add_argument("--shapes", default=",".join(SHAPES), help="some of them, a,b")
    parser.add_argument("--tokens", type=int, default=0, help="of the text")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--go", type=int, default=engine.GO_TOKENS, help="tokens in one go")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="tell where the time goes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
