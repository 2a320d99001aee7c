"""How well a classifier ranks the words of held-out documents, and the picture of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Score:
    """What one look at the held-out documents says."""

    loss: float
    agreement: float
    """Of the tokens that the labels would keep at the rate, the share that the scores keep too."""
    precision: float
    """Over P(keep) 0.5, against labels of 0.5 and more."""
    recall: float


def agreement(scores: Floats, labels: Floats, rate: float) -> float:
    """Share of the labels' best tokens that are among the scores' best, at most ``rate`` of all.

    This is what compression does with the scores, so it chooses the checkpoint, not the loss.
    """
    count = max(1, round(rate * len(labels)))
    best = np.argsort(-labels, kind="stable")[:count]
    chosen = np.argsort(-scores, kind="stable")[:count]
    return len(np.intersect1d(best, chosen)) / count


def score(loss: float, windows: list[tuple[Floats, Floats]], rate: float) -> Score:
    """From each window's P(keep) and labels, of the tokens that count."""
    agreements = [agreement(scores, labels, rate) for scores, labels in windows if len(labels)]
    scores = np.concatenate([one for one, _ in windows]) >= 0.5
    labels = np.concatenate([other for _, other in windows]) >= 0.5
    both = int((scores & labels).sum())
    return Score(
        loss=loss,
        agreement=float(np.mean(agreements)),
        precision=both / max(int(scores.sum()), 1),
        recall=both / max(int(labels.sum()), 1),
    )


def plot(history: list[dict[str, Any]], file: Path) -> None:
    """Training loss by step; held-out loss, agreement, precision and recall by epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = [row for row in history if "train_loss" in row]
    looks = [row for row in history if "agreement" in row]
    left.plot([row["step"] for row in steps], [row["train_loss"] for row in steps], label="train")
    left.plot(
        [row["step"] for row in looks], [row["loss"] for row in looks], "o-", label="held out"
    )
    left.set(xlabel="step", ylabel="loss")
    for name in ("agreement", "precision", "recall"):
        right.plot([row["step"] for row in looks], [row[name] for row in looks], "o-", label=name)
    right.set(xlabel="step", ylim=(0, 1))
    for axes in (left, right):
        axes.legend()
    figure.savefig(file, dpi=110)
