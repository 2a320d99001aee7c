"""How fast the compressor is: beside ``llmlingua`` on the same weights and the same text.

``python -m tests.bench.compressor`` runs it all, prints the tables and writes a JSON file. The
weights are random, in the shapes of MiniLM-L6 and of mBERT; both read them from one directory.
All contenders use all cores, and take turns in rounds. Tokens are the text's cl100k tokens.
The shipped classifiers are run by themselves as well, on windows that are ready. Over that stands
what the whole way from text to text costs, in processor time: in seconds it is more for one text by
itself, which one core prepares while the others wait, and as much for many. And the operations of
their matrix products a second are told as a share of the int8 limit (``int8.py`` says which),
measured on the same cores in the same rounds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from proxy.compress import Compressor
from proxy.compress.checkpoint import SHIPPED
from proxy.compress.draft import Draft, Job
from proxy.errors import CheckpointError
from proxy.tokens import encoding
from tests.bench import int8, report
from tests.bench.llmlingua_peer import LLMLingua
from tests.bench.peers import LLMLINGUA, cache
from tests.bench.prose import prose
from tests.bench.report import Mark

RATE = 0.5
ROOT = Path(__file__).parents[2]
MODELS = ROOT / "proxy" / "models"
MADE_BY = ("tests/bench/checkpoint.py", "proxy/compress/export.py", "proxy/compress/onnx.py")
# llmlingua tells the kind of tokenizer by this name, and fails with any other (its issue #168).
FOLDER = "llmlingua-2-bert-base-multilingual-cased"
Run = Callable[[str], tuple[float, dict[str, float]]]
"""A text -> seconds, and milliseconds per stage where they are told."""


@dataclass(frozen=True)
class Contender:
    """Something that compresses, and the shape of its weights."""

    name: str
    shape: str
    run: Run


@dataclass
class Seen:
    """Seconds of each round for each text, and the stages of all of them."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)
    cpu: dict[int, list[float]] = field(default_factory=dict)
    """Processor seconds of this process in each round; of use where the work is done in it."""

    def cost(self) -> float:
        """Processor seconds over all texts, each in its best round."""
        return sum(min(s) for s in self.cpu.values())

    def per_second(self) -> dict[int, float]:
        """Tokens per second for each length of text."""
        return {tokens: tokens / median(s) for tokens, s in self.seconds.items()}

    def overall(self) -> float:
        """Tokens per second over all texts."""
        return sum(self.seconds) / sum(median(s) for s in self.seconds.values())


class Alone:
    """A shipped classifier by itself: the windows of a text, scored on all cores."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.shape = int8.Shape.of(MODELS / SHIPPED[name])
        self._compressor = Compressor.load(name)
        self._windows: dict[str, list[Any]] = {}

    def run(self, text: str) -> tuple[float, dict[str, float]]:
        windows, score = self.windows(text), self._compressor.score
        started = time.perf_counter()
        list(self._compressor.pool.map(score, windows))
        return time.perf_counter() - started, {}

    def windows(self, text: str) -> list[Any]:
        """Token ids of each window."""
        if text not in self._windows:
            draft = Draft.of(Job(text), self._compressor.reader)
            self._windows[text] = [draft.ids(window) for window in draft.windows]
        return self._windows[text]

    def sizes(self, text: str) -> list[int]:
        """Tokens of each window, with the special ones around it."""
        specials = self._compressor.reader.tokenizer.specials
        return [len(ids) + specials for ids in self.windows(text)]

    def operations(self, text: str) -> float:
        """Of all matrix products on the text's windows."""
        return sum(size * self.shape.operations(size) for size in self.sizes(text))


@dataclass
class Depth:
    """What the shipped classifiers reach of what the machine could do."""

    seen: dict[str, Seen]
    """Of each whole, and of each alone."""
    share: dict[str, float]
    """Of the int8 limit."""
    limit: dict[str, float]
    """Operations a second that int8 products do, in each one's shapes."""


def deep(texts: Mapping[int, str], rounds: int) -> Depth:
    """The shipped classifiers whole, alone, and their bare matrix products, in turns."""
    alone = [Alone(name) for name in SHIPPED if (MODELS / SHIPPED[name] / "config.json").is_file()]
    longest = texts[max(texts)]
    products = {
        one.name: int8.Products(one.shape, round(median(one.sizes(longest)))) for one in alone
    }
    rates: dict[str, list[float]] = {name: [] for name in products}

    def measure_limits() -> None:
        for name, product in products.items():
            rates[name].append(product.per_second())

    contenders = [*shipped(), *(Contender(f"{a.name} alone", a.name, a.run) for a in alone)]
    seen = run_rounds(contenders, texts, rounds, measure_limits)
    limit = {name: median(told) for name, told in rates.items()}
    share = {}
    for one in alone:
        done = sum(one.operations(text) for text in texts.values())
        seconds = sum(median(s) for s in seen[f"{one.name} alone"].seconds.values())
        share[one.name] = done / seconds / limit[one.name]
    return Depth(seen, share, limit)


def checkpoint(shape: str, tokenizer: Path) -> Path:
    """The directory with random weights of that shape; built anew where what makes it changes."""
    made_by = (tokenizer, *(ROOT / file for file in MADE_BY))
    key = hashlib.sha256(b"".join(file.read_bytes() for file in made_by)).hexdigest()[:8]
    folder = cache() / "checkpoints" / f"{shape}-{key}" / FOLDER
    if not (folder / "done").is_file():
        print(f"building random weights of {shape} in {folder}", flush=True)
        command = [LLMLINGUA.python, "-W", "ignore", "-m", "tests.bench.checkpoint"]
        subprocess.run([*command, shape, str(tokenizer), str(folder)], check=True)
    return folder


def with_window(folder: Path, window: int) -> Path:
    """The same weights for Precis, with windows of so many tokens."""
    copy = folder.with_name(f"{folder.name}-window{window}")
    if not copy.is_dir():
        shutil.copytree(folder, copy)
        (copy / "precis.json").write_text(json.dumps({"window": window}))
    return copy


def ours(model: str | Path, precision: str) -> Run:
    """Precis on a checkpoint, loaded and warm. Raises CheckpointError."""
    compressor = Compressor.load(str(model), precision=precision)
    compressor.warm()

    def run(text: str) -> tuple[float, dict[str, float]]:
        started = time.perf_counter()
        result = compressor.compress(text, RATE)
        seconds = time.perf_counter() - started
        if result.reason:
            raise RuntimeError(f"the text stayed as it was: {result.reason}")
        return seconds, dict(result.ms)

    return run


def theirs(peer: LLMLingua) -> Run:
    """``llmlingua``, as its own process."""
    return lambda text: (peer.seconds(text, RATE), {})


def shipped() -> list[Contender]:
    """The classifiers that ship and are there, as they come."""
    found = []
    for name, folder in SHIPPED.items():
        if (MODELS / folder / "config.json").is_file():
            found.append(Contender(f"precis {name}", name, ours(name, "auto")))
    return found


def run_rounds(
    contenders: Sequence[Contender],
    texts: Mapping[int, str],
    rounds: int,
    between: Callable[[], None] = lambda: None,
) -> dict[str, Seen]:
    """Every text by every contender, in turns; the first short one only warms up.

    ``between`` is what else is measured in each round.
    """
    seen = {one.name: Seen() for one in contenders}
    for one in contenders:
        one.run(texts[min(texts)])
    for number in range(rounds):
        turn = number % len(contenders)
        for tokens, text in texts.items():
            for one in (*contenders[turn:], *contenders[:turn]):
                told = seen[one.name]
                used = time.process_time()
                seconds, stages = one.run(text)
                told.cpu.setdefault(tokens, []).append(time.process_time() - used)
                told.seconds.setdefault(tokens, []).append(seconds)
                for stage, ms in stages.items():
                    told.stages[stage] = told.stages.get(stage, 0.0) + ms
            between()
    return seen


def show(console: Console, title: str, seen: Mapping[str, Seen], base: str) -> None:
    """Tokens per second, times the base's, and the share of each stage."""
    table = Table(title=title, title_justify="left")
    lengths = list(next(iter(seen.values())).seconds)
    columns = ["", *(f"{n:,} tokens" for n in lengths), "all", f"x {base}" if base else ""]
    for name in (*columns, "tokenize", "score", "select"):
        table.add_column(name, justify="left" if not name else "right")
    for name, one in seen.items():
        rates = [f"{rate:,.0f}" for rate in (*one.per_second().values(), one.overall())]
        times = f"{one.overall() / seen[base].overall():.2f}" if base else ""
        total = sum(one.stages.values())
        shares = [f"{one.stages[s] / total:.1%}" for s in one.stages] or ["", "", ""]
        table.add_row(name, *rates, times, *shares)
    console.print(table)


def marks(minilm: Mapping[str, Seen], mbert: Mapping[str, Seen], depth: Depth) -> list[Mark]:
    """What was asked for."""
    found: list[Mark] = []

    def times(what: str, one: Seen | None, other: Seen | None, limit: float) -> None:
        if one and other:
            value = one.overall() / other.overall()
            found.append(Mark(what, value, limit, "x", at_least=True))

    peer = mbert.get("llmlingua")
    same = "precis int8 over llmlingua, same {} weights"
    times(same.format("MiniLM"), minilm.get("precis int8"), minilm.get("llmlingua"), 3)
    times(same.format("mBERT"), mbert.get("precis int8"), peer, 1.5)
    for name, limit in (("builtin", 12), ("builtin-fast", 30)):
        what = f"{name} over llmlingua with an mBERT shape"
        times(what, mbert.get(f"precis {name}"), peer, limit)
    for name, share in depth.share.items():
        found.append(Mark(f"{name} alone, of the int8 limit", 100 * share, 45, "%", at_least=True))
    for name in depth.share:
        whole = depth.seen[f"precis {name}"].cost() / depth.seen[f"{name} alone"].cost()
        what = f"{name}: whole path over the bare model run, processor time"
        found.append(Mark(what, whole, 1.25, "x"))
    return found


def measure(
    shape: str, wish: argparse.Namespace, texts: Mapping[int, str], rounds: int
) -> dict[str, Seen]:
    """Precis, the shipped classifiers and llmlingua on weights of one shape."""
    folder = checkpoint(shape, wish.tokenizer)
    contenders = [
        Contender("precis int8", shape, ours(folder, "int8")),
        Contender("precis fp32", shape, ours(folder, "fp32")),
    ]
    if shape == "minilm":
        for precision in ("int8", "fp32"):
            run = ours(with_window(folder, 256), precision)
            contenders.append(Contender(f"precis {precision}, windows of 256", shape, run))
    contenders += shipped()
    if wish.peers == "none":
        return run_rounds(contenders, texts, rounds)
    with LLMLingua(folder) as peer:
        return run_rounds([Contender("llmlingua", shape, theirs(peer)), *contenders], texts, rounds)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns 1 if a mark was missed."""
    wish = _arguments().parse_args(argv)
    console = Console(width=130 if not sys.stdout.isatty() else None)
    busy = report.machine()
    # The checkpoints are made with the peers' torch, so their environment is needed in any case.
    versions = LLMLINGUA.install().versions()
    lengths = (2_000,) if wish.quick else (2_000, 8_000, 20_000)
    rounds = 1 if wish.quick else wish.rounds
    texts = _texts(wish.text, lengths)
    small = {min(texts): texts[min(texts)]}  # the mBERT shape takes ten times as long
    base = "llmlingua" if wish.peers != "none" else ""
    minilm = measure("minilm", wish, texts, rounds)
    show(console, "MiniLM-L6 shape: tokens/s, rate 0.5", minilm, base)
    mbert = measure("mbert", wish, small, min(rounds, 3))
    show(console, "mBERT shape (builtin: its own): tokens/s, rate 0.5", mbert, base)
    depth = deep(texts, rounds)
    show(console, "as shipped: tokens/s, rate 0.5", depth.seen, "")
    found = marks(minilm, mbert, depth)
    reached = report.show_marks(console, found)
    told = {"minilm": _told(minilm), "mbert": _told(mbert), "shipped": _told(depth.seen)}
    told["int8"] = {
        name: {"share": share, "limit": depth.limit[name]} for name, share in depth.share.items()
    }
    file = report.save("compressor", {"before": busy, "versions": versions, **told}, found)
    report.show_end(console, busy, file)
    return 0 if reached else 1


def _texts(file: Path | None, lengths: Sequence[int]) -> dict[int, str]:
    texts = [file.read_text(encoding="utf-8")] if file else [prose(n) for n in lengths]
    return {encoding().count(text): text for text in texts}


def _told(seen: Mapping[str, Seen]) -> dict[str, Any]:
    return {
        name: {
            "per_second": one.per_second(),
            "overall": one.overall(),
            "seconds": one.seconds,
            "stages_ms": one.stages,
            "cpu_s": one.cpu,
        }
        for name, one in seen.items()
    }


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.compressor", description=__doc__)
    parser.add_argument("--peers", choices=("all", "none"), default="all")
    parser.add_argument("--text", type=Path, help="a text file instead of made-up prose")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one short round, to try it out")
    parser.add_argument(
        "--tokenizer",
        type=Path,
        default=MODELS / "builtin" / "tokenizer.json",
        help="a WordPiece tokenizer.json (default: the shipped one)",
    )
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CheckpointError as exc:
        sys.exit(exc.message)
