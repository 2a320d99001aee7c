"""What an evaluation with an LLM asks: each example with its material whole, compressed and cut.

Pure but for the compressor's clock: the same settings give the same prompts, so an answer is known
by the hash of what decides it, and a resumed run asks for nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from proxy.compress import Compressor
from proxy.compress.draft import Job
from proxy.tokens import Encoding, encoding, encoding_for
from proxy.train.distill_cost import Price
from proxy.train.tasks_example import Data, Example, Prompt, Task

ORIGINAL, COMPRESSED, TRUNCATED = "original", "compressed", "truncated"
MESSAGE_TOKENS = 8
"""What a chat template adds around one message, roughly."""


@dataclass(frozen=True, slots=True)
class Goal:
    """How much of the material stays: a share of its tokens, or so many of them."""

    rate: float | None = None
    tokens: int | None = None

    def __str__(self) -> str:
        return f"{self.rate:g}" if self.rate is not None else f"{self.tokens} tokens"


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """One evaluation. Without ``base_url`` litellm finds the provider."""

    task: Task
    data: Data
    out: Path
    llm: str
    model: str = "builtin"
    """The classifier that compresses."""
    goals: tuple[Goal, ...] = (Goal(0.33), Goal(0.5))
    limit: int = 0
    """Most examples of each data set; 0 for all."""
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    temperature: float = 0.0
    concurrency: int = 8
    retries: int = 6
    backoff_s: float = 1.0
    timeout_s: float = 300.0
    price: Price | None = None
    """None looks the LLM up."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One example asked in one way."""

    example: Example
    method: str
    """``original``, ``compressed@0.33``, ``truncated@0.33``, ..."""
    prompt: str = field(repr=False)
    key: str
    """Of the answer. Trials whose prompts are equal share one."""
    answer_tokens: int
    tokens: int
    """Of the prompt, as the LLM counts."""
    material_tokens: int
    compress_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Cut:
    """A material made shorter in one way."""

    method: str
    text: str
    ms: float = 0.0


def plan(
    settings: JudgeSettings, compressor: Compressor, step: Callable[[int], None] = lambda _: None
) -> list[Trial]:
    """All trials, in the examples' order; ``step`` is told how many examples are ready.

    Raises ConfigError for data that can't be read.
    """
    count = encoding(encoding_for(settings.llm)).count
    cuts = _Cuts(settings, compressor)
    trials: list[Trial] = []
    examples = settings.task.load(settings.data, settings.task)
    for number, example in enumerate(_first(examples, settings.limit), 1):
        prompt = settings.task.prompts[example.dataset]
        for cut in cuts.of(example.material):
            trials.append(_trial(settings, prompt, example, cut, count))
        step(number)
    return trials


def _first(examples: Iterable[Example], limit: int) -> Iterator[Example]:
    taken: Counter[str] = Counter()
    for example in examples:
        if not limit or taken[example.dataset] < limit:
            taken[example.dataset] += 1
            yield example


def _trial(
    settings: JudgeSettings, prompt: Prompt, example: Example, cut: Cut, count: Callable[[str], int]
) -> Trial:
    text = example.before + cut.text + example.after
    decides = json.dumps([text, settings.llm, settings.temperature, prompt.answer_tokens])
    return Trial(
        example,
        cut.method,
        text,
        hashlib.sha256(decides.encode()).hexdigest(),
        prompt.answer_tokens,
        count(text) + MESSAGE_TOKENS,
        count(cut.text),
        cut.ms,
    )


class _Cuts:
    """The ways to shorten a material; the last one's are kept, as questions often share one."""

    def __init__(self, settings: JudgeSettings, compressor: Compressor) -> None:
        self.settings = settings
        self.compressor = compressor
        self.encoding = encoding(encoding_for(settings.llm))
        self._last: tuple[str, tuple[Cut, ...]] = ("", ())

    def of(self, material: str) -> tuple[Cut, ...]:
        """Whole; then for each goal compressed, and truncated to as many tokens."""
        if not self._last[1] or self._last[0] != material:
            cuts = [Cut(ORIGINAL, material)]
            for goal in self.settings.goals:
                cuts += self._to(material, goal)
            self._last = (material, tuple(cuts))
        return self._last[1]

    def _to(self, material: str, goal: Goal) -> Iterator[Cut]:
        rate = goal.rate if goal.rate is not None else 0.5
        job = Job(material, self.settings.task.rules, rate, goal.tokens)
        started = time.perf_counter()
        shorter = self.compressor.run(job, self.encoding.name)
        ms = 1000 * (time.perf_counter() - started)
        yield Cut(f"{COMPRESSED}@{goal}", shorter.text, ms)
        beginning = truncate(material, shorter.tokens_after, self.encoding)
        yield Cut(f"{TRUNCATED}@{goal}", beginning)


def truncate(text: str, tokens: int, counter: Encoding) -> str:
    """The first ``tokens`` tokens of a text, and no half character."""
    plain = text.encode("utf-8", "replace")  # a lone surrogate counts as the one "?" it becomes
    ends = counter.token_ends(counter.ids(plain.decode()))
    if tokens >= len(ends):
        return text
    size = int(ends[tokens - 1]) if tokens else 0
    return text[: len(plain[:size].decode("utf-8", "ignore"))]
