"""Finds the units of plain words, all at once, so that the pattern need only read what is left.

Most of prose is letters between white space, with at most one mark behind them: what the pattern
makes of that is known. The rest is put into a text of its own for it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

Read = Callable[[str, int, int], Ints]
"""A text and a part of it -> where its units start and end by the pattern, line ends left out."""

_LETTER, _SPACE, _MARK, _OTHER = 1, 2, 4, 8
_KINDS = np.full(129, _OTHER, dtype=np.uint8)
_KINDS[[ord(c) for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"]] = _LETTER
_KINDS[[ord(c) for c in " \t\n\r"]] = _SPACE
_KINDS[[ord(c) for c in ',;?").!']] = _MARK
_APART = "  "
"""Between parts that the pattern reads; over two spaces it sees nothing."""
_LEAST = 0.4
"""Share of plain chunks below which the pattern is faster with all of the text."""


def edges(text: str, start: int, end: int, read: Read) -> Ints:
    """Where the units of ``text[start:end]`` start and end, in order, shape ``(units, 2)``."""
    codes = np.frombuffer(text[start:end].encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    kinds = _KINDS[np.minimum(codes, 128)]
    space = np.concatenate([[True], kinds == _SPACE, [True]])
    turns = np.flatnonzero(space[1:] != space[:-1])
    starts, ends = turns[::2], turns[1::2]  # of the chunks between white space
    letters = np.concatenate([[0], np.cumsum(kinds == _LETTER)])
    count = letters[ends] - letters[starts]
    marked = kinds[np.maximum(ends - 1, 0)] == _MARK
    plain = count == ends - starts - marked
    if start:  # what is before the first chunk may be a block: the pattern looks
        plain[:1] = False
    if not len(starts) or plain.mean() < _LEAST:
        return read(text, start, end)
    words, marks = plain & (count > 0), plain & marked
    found = [
        np.stack([starts, starts + count], axis=1)[words] + start,
        np.stack([ends - 1, ends], axis=1)[marks] + start,
        _read_rest(text, _runs(starts, ends, ~plain) + start, read),
    ]
    every = np.concatenate(found)
    return every[np.argsort(every[:, 0], kind="stable")]


def _runs(starts: Ints, ends: Ints, there: Bools) -> Ints:
    """Where each run of the chunks ``there`` starts and ends, shape ``(runs, 2)``."""
    padded = np.concatenate([[False], there, [False]])
    turns = np.flatnonzero(padded[1:] != padded[:-1])
    return np.stack([starts[turns[::2]], ends[turns[1::2] - 1]], axis=1)


def _read_rest(text: str, runs: Ints, read: Read) -> Ints:
    """The units of some parts of the text, read as one."""
    if not len(runs):
        return runs
    (first, past), others = runs[0].tolist(), runs[1:]
    alone = read(text, first, past)
    parts = [text[start:end] for start, end in others.tolist()]
    found = read(joined := _APART.join(parts), 0, len(joined))
    sizes = others[:, 1] - others[:, 0] + len(_APART)
    places = np.cumsum(sizes) - sizes
    of = np.searchsorted(places, found[:, 0], side="right") - 1
    return np.concatenate([alone, found + (others[:, 0] - places)[of][:, None]])
