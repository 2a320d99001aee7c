"""What the compressor asks of a classifier, and a fake one for tests and dry runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


class Scorer(Protocol):
    """Scores one window at a time; must be safe to call from several threads."""

    name: str
    fingerprint: str
    """Changes whenever scores may change."""

    def score(self, ids: Ints) -> Floats:
        """P(keep) of each token of one window, special tokens included, shape ``(tokens,)``."""
        ...


@runtime_checkable
class BatchScorer(Scorer, Protocol):
    """Scores many windows in one go where that is faster: on an accelerator.

    A window's scores must not depend on the others.
    """

    batch_tokens: int
    """Tokens that are best scored in one go; 0 where windows are best scored one by one."""

    def score_many(self, windows: Sequence[Ints]) -> list[Floats]:
        """What ``score`` gives for each window, in order."""
        ...


class FakeScorer:
    """Scores by a fixed hash of each token: no weights, no meaning, always the same."""

    name = "fake"
    fingerprint = "fake"

    def score(self, ids: Ints) -> Floats:
        """Shape ``(tokens,)``, in [0, 1)."""
        mixed = (ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
        return (mixed.astype(np.float32)) / np.float32(1 << 24)
