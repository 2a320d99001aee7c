"""Labels for a smaller classifier: what a larger one says of each word.

What people marked is noisy, and a small model learns more from the larger one's doubts about it
(knowledge distillation, arXiv 1503.02531) than from the marks themselves (27.3 in LOG.md). And the
larger one may be asked about any text, so each comes with variants of it (27.4).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.progress import track

from proxy.compress import Compressor
from proxy.compress.draft import Draft, Job
from proxy.errors import ConfigError
from proxy.train.variants import Vocabulary, several

Floats = npt.NDArray[np.float32]

SHARE = 1.0
"""Of the teacher's word in the new label."""


def word_scores(compressor: Compressor, text: str, words: list[list[int]]) -> Floats:
    """The classifier's P(keep) of each word, shape ``(words,)``; words are offsets of ``text``."""
    draft = Draft.of(Job(text), compressor.reader)
    packed = list(
        compressor.pool.map(lambda window: compressor.levels(draft, window), draft.windows)
    )
    scores = draft.word_scores(packed)
    starts = np.array([start for start, _ in words], dtype=np.int64)
    unit = np.searchsorted(draft.units.ends, starts, side="right")
    return np.asarray(scores[np.minimum(unit, len(scores) - 1)], dtype=np.float32)


def taught(
    rows: Iterator[dict[str, Any]], compressor: Compressor, share: float = SHARE
) -> Iterator[dict[str, Any]]:
    """The rows with their labels drawn towards the teacher's scores."""
    for row in rows:
        theirs = word_scores(compressor, row["text"], row["words"])
        mixed = (1 - share) * np.array(row["labels"], dtype=np.float32) + share * theirs
        yield row | {"labels": [round(float(value), 3) for value in mixed]}


def main(rows: Path, teacher: Path, out: Path, share: float = SHARE, copies: int = 0) -> None:
    """Writes the rows, and so many variants of each, with new labels to ``out``.

    ``teacher`` is an exported classifier. Variants have labels only from it, so ``copies`` wants a
    ``share`` of 1. Raises ConfigError otherwise.
    """
    if copies and share < 1:
        raise ConfigError(["variants of a text have no labels of their own; give a share of 1"])
    compressor = Compressor.load(str(teacher))
    # Not splitlines: JSON strings may hold line separators of other kinds.
    given = rows.read_text(encoding="utf-8").rstrip("\n").split("\n")
    asked: Iterator[dict[str, Any]] = map(json.loads, track(given, "teaching"))
    if copies:
        asked = several(asked, Vocabulary.of(compressor.reader.tokenizer), copies)
    unfinished = out.with_suffix(".tmp")
    with unfinished.open("w", encoding="utf-8") as lines:
        for row in taught(asked, compressor, share):
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    unfinished.replace(out)
