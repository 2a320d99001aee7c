"""How well a classifier ranks the words of held-out documents, and the picture of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
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
    curve: tuple[tuple[float, float], ...] = field(default=(), repr=False)
    """Recall and precision with P(keep) over 0.05, 0.10, ..., 0.95."""


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
    scores = np.concatenate([one for one, _ in windows])
    wanted = np.concatenate([other for _, other in windows]) >= 0.5
    recall, precision = _at(scores, wanted, 0.5)
    return Score(
        loss=loss,
        agreement=float(np.mean(agreements)),
        precision=precision,
        recall=recall,
        curve=tuple(_at(scores, wanted, step / 20) for step in range(1, 20)),
    )


def _at(scores: Floats, wanted: npt.NDArray[np.bool_], threshold: float) -> tuple[float, float]:
    """Recall and precision of keeping what is at or over the threshold."""
    kept = scores >= threshold
    both = int((kept & wanted).sum())
    return both / max(int(wanted.sum()), 1), both / max(int(kept.sum()), 1)


def plot(history: list[dict[str, Any]], file: Path) -> None:
    """Loss by step; agreement, precision and recall by epoch; precision against recall."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 3.5), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    steps = [row for row in history if "train_loss" in row]
    looks = [row for row in history if "agreement" in row]
    at = [row["step"] for row in looks]
    left.plot([row["step"] for row in steps], [row["train_loss"] for row in steps], label="train")
    left.plot(at, [row["loss"] for row in looks], "o-", label="held out")
    left.set(xlabel="step", ylabel="loss")
    for name in ("agreement", "precision", "recall"):
        middle.plot(at, [row[name] for row in looks], "o-", label=name)
    middle.set(xlabel="step", ylabel="held out", ylim=(0, 1))
    for number, row in enumerate(looks, 1):
        last = number == len(looks)
        color = {} if last else {"color": "0.8"}
        label = f"epoch {number}" if last else None
        right.plot(*zip(*row["curve"], strict=True), ".-", label=label, **color)
    right.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1))
    for axes in (left, middle, right):
        axes.legend()
    figure.savefig(file, dpi=110)
