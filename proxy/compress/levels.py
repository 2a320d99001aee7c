"""Words' scores as one byte each: what is cached of a window, and what words are chosen by.

Fresh scores go through the same byte as cached ones, so whether a score came from a cache can't
be told from what is kept.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_KNOTS = 9
_CURVE = struct.Struct(f"<{_KNOTS}f")
_PLACES = np.linspace(0, 1, _KNOTS)
_NONE = 0
"""The byte of a word without tokens; its score is 0."""
_TOP = 254
"""Levels of the words that have tokens: 0 to this."""
_BY_RANK = 0.9
"""How far levels follow the words' ranks, and not their log-odds: many where words are many.

Measured with ``builtin`` on four texts: with the curve below the same 99.5 % of words are kept at
0.33 and 0.5 as with 32 bits, over all windows; within a window of up to 255 words all are.
"""
_SURE = 1e-6
"""P(keep) and its complement are at least this, so that log-odds are finite."""


def pack(scores: Floats, scored: Bools) -> bytes:
    """The P(keep) of one window's words, shape ``(words,)``: a short curve and a byte a word.

    The curve gives the log-odds of the levels. Unequal scores get unequal levels as long as there
    are enough of them. ``scored`` tells the words that have tokens. Raises ValueError if a score
    is no number.
    """
    sure = np.clip(scores[scored].astype(np.float64), _SURE, 1 - _SURE)
    if not np.isfinite(sure).all():
        raise ValueError("the classifier gave a score that is no number")
    odds, place = np.unique(np.log(sure / (1 - sure)), return_inverse=True)
    curve = _curve(odds)
    found = np.full(len(scores), _NONE, dtype=np.uint8)
    found[scored] = 1 + _apart(np.rint(_TOP * np.interp(odds, curve, _PLACES)))[place]
    return _CURVE.pack(*curve.tolist()) + found.tobytes()


def unpack(packed: bytes) -> Floats:
    """P(keep) of the window's words, shape ``(words,)``."""
    curve = _CURVE.unpack_from(packed)
    found = np.frombuffer(packed, dtype=np.uint8, offset=_CURVE.size)
    odds = np.interp((found.astype(np.float64) - 1) / _TOP, _PLACES, curve)
    scores: Floats = (1 / (1 + np.exp(-odds))).astype(np.float32)
    scores[found == _NONE] = 0
    return scores


def size(words: int) -> int:
    """Bytes that the packed scores of so many words take."""
    return _CURVE.size + words


def _curve(odds: Doubles) -> Doubles:
    """The log-odds at even steps of the levels, for ``odds`` that ascend, shape ``(_KNOTS,)``."""
    if len(odds) < 2:
        return np.full(_KNOTS, odds[0] if len(odds) else 0.0)
    ranks = np.arange(len(odds)) / (len(odds) - 1)
    even = (odds - odds[0]) / (odds[-1] - odds[0])
    knots = np.interp(_PLACES, _BY_RANK * ranks + (1 - _BY_RANK) * even, odds)
    return knots.astype(np.float32).astype(np.float64)


def _apart(levels: Doubles) -> npt.NDArray[np.uint8]:
    """Levels that ascend, pushed apart where two are the same, half up and half down."""
    count = len(levels)
    steps = np.arange(count)
    if 0 < count <= _TOP + 1:
        loose = levels.astype(np.int64) - steps
        up = np.maximum.accumulate(loose)
        down = np.minimum.accumulate(loose[::-1])[::-1]
        levels = steps + np.clip((up + down) // 2, 0, _TOP + 1 - count)
    return levels.astype(np.uint8)
