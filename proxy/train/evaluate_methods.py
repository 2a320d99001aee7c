"""Who is measured: a score for each unit of a text, by a baseline or by a classifier.

The runtime's own selection spends the same budget on the best scores, so methods differ in nothing
else. Knows nothing of what is measured.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from proxy.compress import Compressor, keep
from proxy.compress.draft import Draft, Job
from proxy.train import devsets
from proxy.train.devsets import Bools, Text
from proxy.train.words import is_sign, words_of

Floats = npt.NDArray[np.float32]
Score = Callable[[Text], Floats]
"""Scores of the units of a text, shape ``(units,)``."""
Step = Callable[[], None]
"""Called after each text."""


@dataclass
class Clock:
    """Time that was taken, and the cl100k tokens that it was taken for."""

    seconds: float = 0.0
    tokens: int = 0

    def add(self, seconds: float, tokens: int) -> None:
        """Counts some more of both."""
        self.seconds += seconds
        self.tokens += tokens

    @property
    def ms(self) -> float:
        """Milliseconds for a thousand tokens."""
        return 1e6 * self.seconds / max(self.tokens, 1)


class Method(Protocol):
    """Something that shortens texts."""

    name: str
    fingerprint: str
    """Changes whenever what it keeps may change."""

    def prepare(self, texts: Sequence[Text], step: Step) -> None:
        """Does what has to be done once for a text, whatever the rate."""
        ...

    def keeps(self, text: Text, rate: float, counted: str) -> Bools | None:
        """The units that stay, shape ``(units,)``; None where it can't count the rate so."""
        ...

    def ms(self) -> float:
        """Milliseconds for a thousand tokens, from a text to what stays of it at one rate."""
        ...


@dataclass
class Scored:
    """A method that is one score a unit, whatever the rate."""

    name: str
    fingerprint: str
    score_all: Callable[[Sequence[Text]], Iterator[Floats]]
    _scores: dict[str, Floats] = field(default_factory=dict)
    _scoring: Clock = field(default_factory=Clock)
    _choosing: Clock = field(default_factory=Clock)

    @classmethod
    def each(cls, name: str, score: Score) -> Scored:
        """From a function of one text that never changes."""
        return cls(name, name, lambda texts: map(score, texts))

    def prepare(self, texts: Sequence[Text], step: Step) -> None:
        started = time.perf_counter()
        for text, scores in zip(texts, self.score_all(texts), strict=True):
            self._scores[text.text] = scores
            step()
        self._scoring.add(time.perf_counter() - started, sum(text.tokens for text in texts))

    def keeps(self, text: Text, rate: float, counted: str) -> Bools:
        started = time.perf_counter()
        kept = select(text, self._scores[text.text], rate, counted)
        self._choosing.add(time.perf_counter() - started, text.tokens)
        return kept

    def ms(self) -> float:
        return self._scoring.ms + self._choosing.ms


def select(text: Text, scores: Floats, rate: float, counted: str = "tokens") -> Bools:
    """The runtime's choice by these scores at a rate of cl100k tokens, shape ``(units,)``.

    Counted in ``characters`` long words are dear and signs cheap, as in the literature's tables.
    """
    order = keep.rank(text.units, scores, np.zeros(len(text.units), dtype=np.bool_))
    if counted == "characters":
        spent = np.cumsum((text.units.ends - text.units.starts + ~text.units.glued)[order])
        kept = np.zeros(len(order), dtype=np.bool_)
        kept[order[spent <= rate * len(text.text)]] = True
        return kept
    return keep.choose(order, 0, round(rate * text.tokens), text.budget, lambda kept: kept)


def by_chance(text: Text) -> Floats:
    """Noise that hangs on the text alone."""
    seed = len(text.text)
    return np.random.default_rng(seed).random(len(text.units), dtype=np.float32)


def by_stop_words(text: Text) -> Floats:
    """Stop words and signs go first, then chance decides."""
    return by_chance(text) + text.content


def by_truncation(text: Text) -> Floats:
    """The beginning of the text stays."""
    return -np.arange(len(text.units), dtype=np.float32)


def by_rarity(texts: Iterable[str], window: int = 300) -> Score:
    """Word rarity (idf) over windows of the given texts; signs go first."""
    seen: Counter[str] = Counter()
    windows = 0
    for text in texts:
        words = [text[s:e].lower() for s, e in words_of(text)]
        for at in range(0, len(words), window):
            seen.update(set(words[at : at + window]))
            windows += 1
    unseen = math.log(2 * windows)

    def score(text: Text) -> Floats:
        found = []
        for string in text.units.strings:
            count = seen.get(string.lower())
            rarity = math.log(windows / count) if count else unseen
            found.append(-1.0 if is_sign(string) else rarity)
        return np.array(found, dtype=np.float32)

    return score


def by_classifier(
    model: str, name: str = "", precision: str = "auto", window: int | None = None
) -> Scored:
    """P(keep) of the classifier called ``model``: a shipped name, a directory or a hub id.

    ``window``: tokens of its windows, its own number if not given.
    """
    compressor = Compressor.load(model, precision=precision)
    if window is not None:
        compressor.reader = replace(compressor.reader, window=window)

    def score_all(texts: Sequence[Text]) -> Iterator[Floats]:
        # All windows of some texts at once, so that no core waits for a text's last window.
        for at in range(0, len(texts), 16):
            drafts = [Draft.of(Job(text.text), compressor.reader) for text in texts[at : at + 16]]
            ids = [draft.ids(window) for draft in drafts for window in draft.windows]
            scores = compressor.pool.map(compressor.score, ids)
            for draft in drafts:
                yield draft.worth([draft.levels(w, next(scores)) for w in draft.windows])

    return Scored(name or Path(model).name, compressor.scorer.fingerprint, score_all)


BASELINES = ("random", "stop words", "truncation", "idf")
"""Names of what a classifier has to beat."""


def baselines(data: Path) -> list[Method]:
    """The methods that a classifier has to beat; rarity is counted on the train files."""
    files = ("debatesum", "scitldr", "qmsum")
    rows = (row for name in files for row in devsets.read(data / f"{name}-train.jsonl.gz"))
    scores = (by_chance, by_stop_words, by_truncation, by_rarity(row["text"] for row in rows))
    return [Scored.each(name, score) for name, score in zip(BASELINES, scores, strict=True)]
