"""How fast this device compresses: a fixed time a text, and tokens a second. Run on a quiet one."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from proxy.compress.compressor import Compressor
from proxy.compress.draft import Job
from proxy.tokens import DEFAULT_ENCODING, encoding

_SHARES = (0.25, 1, 2, 4)
_ROUNDS = 3


def speed(compressor: Compressor, sample: str) -> tuple[float, float]:
    """``(tokens per second, fixed milliseconds)``, tokens being the upstream's.

    Texts of several sizes are compressed some times each; the shortest times make a line.
    """
    sizes, seconds = [], []
    compressor.warm()
    for share in _SHARES:
        text = (sample * int(max(1, share)))[: int(len(sample) * share)]
        sizes.append(encoding(DEFAULT_ENCODING).count(text))
        seconds.append(min(_once(compressor, text) for _ in range(_ROUNDS)))
    return line(sizes, seconds)


def line(sizes: Sequence[int], seconds: Sequence[float]) -> tuple[float, float]:
    """``(tokens per second, fixed milliseconds)`` of the line that fits best.

    Where the line would begin below zero, it is drawn from zero.
    """
    slope, fixed = np.polyfit(sizes, seconds, 1)
    if fixed < 0 or slope <= 0:
        slope, fixed = sum(seconds) / sum(sizes), 0.0
    return float(1 / slope), float(1000 * fixed)


def _once(compressor: Compressor, text: str) -> float:
    started = time.perf_counter()
    compressor.run(Job(text))
    return time.perf_counter() - started
