"""Puts windows of similar length together for an accelerator. Pure; knows nothing of torch.

The shapes are few and fixed: a length is rounded up, and a batch of that length always has as many
rows, empty ones included. So the same kernels run whoever comes along, and a window's scores hang
on the window alone (design, principle 1); and memory is laid out once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from proxy.compress.scorer import Bools, Ints

STEP = 128
"""Lengths are rounded up to multiples of it. Smaller steps pad less, but leave more batches with
rows to spare: most windows are nearly as long as they may be."""


@dataclass(frozen=True)
class Batch:
    """Windows that run together, as rows of one array."""

    length: int
    """Tokens of a row, padding included."""
    rows: int
    index: Ints
    """Which windows, at most ``rows`` of them, in the order of the rows."""

    def fill(self, windows: Sequence[Ints], pad: int) -> tuple[Ints, Bools]:
        """Token ids and which of them are real, both of shape ``(rows, length)``.

        A row without a window has one real token, so that attention has something to look at.
        """
        ids = np.full((self.rows, self.length), pad, dtype=np.int64)
        real = np.zeros((self.rows, self.length), dtype=np.bool_)
        real[:, 0] = True
        for row, index in enumerate(self.index.tolist()):
            window = windows[index]
            ids[row, : len(window)] = window
            real[row, : len(window)] = True
        return ids, real


def plan(lengths: Sequence[int], longest: int, tokens: int) -> Iterator[Batch]:
    """Batches of at most ``tokens`` tokens in which every window stands once.

    ``longest`` is what the model reads at most; no row is longer.
    """
    rounded = np.minimum(-(-np.array(lengths, dtype=np.int64) // STEP) * STEP, longest)
    rounded = np.maximum(rounded, lengths)
    for length in np.unique(rounded).tolist():
        index = np.flatnonzero(rounded == length)
        rows = max(1, tokens // length)
        for start in range(0, len(index), rows):
            yield Batch(length, rows, index[start : start + rows])
