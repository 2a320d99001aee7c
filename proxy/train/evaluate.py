"""Measures without an LLM what survives compression: answers, links, negations, highlights.

Every method, baseline or classifier, is one score a unit of text; the runtime's own selection
spends the same budget of upstream tokens on the best scores, so methods differ in nothing else.
No rule protects anything here.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from proxy.compress import Compressor, keep
from proxy.compress.draft import Draft, Job
from proxy.tokens import encoding
from proxy.train import devsets
from proxy.train.devsets import Bools, Text
from proxy.train.words import NEGATIONS, is_sign, words_of

Floats = npt.NDArray[np.float32]
Method = Callable[[Text], Floats]
"""Scores of the units of a text, shape ``(units,)``."""


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


def by_rarity(texts: Iterable[str], window: int = 300) -> Method:
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


def by_classifier(model: str, precision: str = "auto") -> Method:
    """P(keep) of the classifier called ``model``: a shipped name or a directory."""
    compressor = Compressor.load(model, precision=precision)

    def score(text: Text) -> Floats:
        draft = Draft.of(Job(text.text), compressor.reader)
        ids = [draft.ids(window) for window in draft.windows]
        return draft.word_scores(list(compressor.pool.map(compressor.score, ids)))

    return score


def baselines(data: Path) -> dict[str, Method]:
    """The methods that a classifier has to beat; rarity is counted on the train files."""
    files = ("debatesum", "scitldr", "qmsum")
    rows = (row for name in files for row in devsets.read(data / f"{name}-train.jsonl.gz"))
    return {
        "random": by_chance,
        "stop words": by_stop_words,
        "truncation": by_truncation,
        "idf": by_rarity(row["text"] for row in rows),
    }


def select(text: Text, scores: Floats, rate: float, counted: str = "tokens") -> Bools:
    """The runtime's choice by these scores at a rate of cl100k tokens, shape ``(units,)``.

    Counted in ``characters`` long words are dear and signs cheap, as in the literature's tables.
    """
    counter = encoding()
    if counted == "characters":
        order = keep.rank(text.units, scores, np.zeros(len(text.units), dtype=np.bool_))
        spent = np.cumsum((text.units.ends - text.units.starts + ~text.units.glued)[order])
        kept = np.zeros(len(order), dtype=np.bool_)
        kept[order[spent <= rate * len(text.text)]] = True
        return kept
    budget = keep.Budget.of(text.units, counter, text.text)
    order = keep.rank(text.units, scores, np.zeros(len(text.units), dtype=np.bool_))
    target = round(rate * counter.count(text.text))
    return keep.choose(order, 0, target, budget, lambda kept: kept)


def answers_kept(texts: Sequence[Text], keeps: Sequence[Bools]) -> dict[str, float]:
    """Shares of questions whose answer stays, and stays linked.

    An answer stays if one occurrence keeps all its content words; it is linked if the sentence of
    that occurrence also keeps half of the question's content words that stood there.
    """
    whole = linked = total = 0
    for text, kept in zip(texts, keeps, strict=True):
        for question in text.questions:
            pairs = zip(question.answers, question.links, strict=True)
            stay = [
                (kept[list(answer)].all(), 2 * kept[list(link)].sum() >= len(link))
                for answer, link in pairs
            ]
            whole += any(answer for answer, _ in stay)
            linked += any(answer and link for answer, link in stay)
            total += 1
    return {"answers": whole / max(total, 1), "linked": linked / max(total, 1)}


def marks_kept(texts: Sequence[Text], keeps: Sequence[Bools]) -> dict[str, float]:
    """On content words: F1 of kept against marked, and how much likelier the marked ones stay.

    ``lift`` is P(kept | marked) / P(kept); ``odds`` is P(kept | marked) / P(kept | not marked).
    """
    both = stay = mark = total = 0
    for text, kept in zip(texts, keeps, strict=True):
        both += int((kept & text.marked & text.content).sum())
        stay += int((kept & text.content).sum())
        mark += int((text.marked & text.content).sum())
        total += int(text.content.sum())
    inside, outside = both / mark, (stay - both) / (total - mark)
    lifts = {"lift": inside / (stay / total), "odds": inside / max(outside, 1e-9)}
    return {"f1": 2 * both / (stay + mark), **lifts, "content kept": stay / total}


def kinds_kept(texts: Sequence[Text], keeps: Sequence[Bools]) -> dict[str, float]:
    """Shares of negations and of units with a digit that stay."""
    seen: Counter[str] = Counter()
    stay: Counter[str] = Counter()
    for text, kept in zip(texts, keeps, strict=True):
        for unit, stays in zip(text.units.strings, kept.tolist(), strict=True):
            negation = unit.lower().replace("’", "'") in NEGATIONS
            digit = any(character.isdigit() for character in unit)
            for kind in ("negations",) * negation + ("numbers",) * digit:
                seen[kind] += 1
                stay[kind] += stays
    return {kind: stay[kind] / max(seen[kind], 1) for kind in ("negations", "numbers")}


Measure = Callable[[Sequence[Text], Sequence[Bools]], dict[str, float]]


def table(
    texts: Sequence[Text],
    methods: dict[str, Method],
    rates: Sequence[float],
    measure: Measure,
    counted: str = "tokens",
) -> dict[str, dict[str, float]]:
    """For each method the measures at each rate, printed as they come."""
    found: dict[str, dict[str, float]] = {}
    for name, method in methods.items():
        scores = [method(text) for text in texts]
        row: dict[str, float] = {}
        for rate in rates:
            keeps = [select(text, s, rate, counted) for text, s in zip(texts, scores, strict=True)]
            row |= {f"{key}@{rate}": value for key, value in measure(texts, keeps).items()}
        found[name] = row
        print(f"  {name:16}", *(f"{key} {value:.3f} " for key, value in row.items()), flush=True)
    return found


def main(
    data: Path,
    models: Sequence[str] = ("builtin",),
    rates: Sequence[float] = (0.33, 0.5),
    limit: int = 0,
    out: Path | None = None,
) -> dict[str, dict[str, dict[str, float]]]:
    """Prints every measure of every method; ``limit`` caps the texts of each set."""
    methods = baselines(data) | {Path(model).name: by_classifier(model) for model in models}
    nq, hotpot = devsets.nq(data)[: limit or None], devsets.hotpot(data)[: limit or None]
    debate = devsets.marked(data, "debatesum-dev", limit or 300)
    meetings = devsets.marked(data, "qmsum-val", limit)
    sets: dict[str, tuple[list[Text], Sequence[float], Measure, str]] = {
        "nq-oracle-dev": (nq, rates, answers_kept, "tokens"),
        "nq-oracle-dev, rate in characters": (nq, rates, answers_kept, "characters"),
        "hotpot-dev": (hotpot, rates, answers_kept, "tokens"),
        "negations and numbers of nq-oracle-dev": (nq[:60], rates, kinds_kept, "tokens"),
        "debatesum-dev": (debate, (0.38,), marks_kept, "tokens"),
        "debatesum-dev, rate in characters": (debate, (0.38,), marks_kept, "characters"),
        "qmsum-val": (meetings, (0.33,), marks_kept, "tokens"),
        "qmsum-val, rate in characters": (meetings, (0.33,), marks_kept, "characters"),
    }
    results = {}
    for name, (texts, at, measure, counted) in sets.items():
        print(f"{name}: {len(texts)} texts, {sum(len(t.questions) for t in texts)} questions")
        results[name] = table(texts, methods, at, measure, counted)
    if out:
        out.write_text(json.dumps(results, indent=1))
    return results
