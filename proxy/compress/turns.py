"""Labels that open a line, such as a speaker's name, and what is said under them.

A label stays as long as any word of its turn does, whole and with its colon, and goes with the
last one: else what one speaker said would be read as another's. Time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from proxy.compress.words import LINE, PUNCTUATION, Units
from proxy.types import Span

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

_CAPITAL = r"[^\W\d_a-zß-öø-ÿ]"
_WORD = rf"{_CAPITAL}[\w.'’&/-]{{0,30}}"
_MORE = rf"(?:{_WORD}|[\[(]\w[\w .,'’&/-]{{0,40}}[\])]|\#?\d{{1,4}}|of|de|la|van|von|der|den|and|&)"
_ROLE = r"(?i:user|assistant|system|human|bot|agent|customer|caller|operator|host|guest|ai|q|a)"
_TIME = r"[\[(]?\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,3})?)?[\])]?"
_LABEL = re.compile(
    rf"\n[ \t>]{{0,8}}(?P<label>(?:{_TIME}[ \t]{{1,8}}(?:-[ ])?)?"
    rf"\*{{0,2}}(?:{_WORD}(?:,?[ ]{_MORE}){{0,4}}|{_ROLE}(?:[ ]\d{{1,4}})?)"
    rf"\*{{0,2}}:\*{{0,2}})(?=[ \t]|\r?\n|\Z)"
)
_EMPTY_LINE = re.compile(r"\n[ \t\r]*\n")


def labels(text: str) -> Iterator[Span]:
    """Spans of labels of at most five capitalised words with their colon, and a time before."""
    for match in _LABEL.finditer("\n" + text):
        yield match.start("label") - 1, match.end("label") - 1


@dataclass(frozen=True)
class Turns:
    """The labels of a text and their turns, as runs of units; arrays have shape ``(labels,)``."""

    starts: Ints
    """First unit of each label."""
    words: Ints
    """Unit after its last: the first of its turn."""
    ends: Ints
    """Unit after the last of its turn: the next label, or for the last one an empty line."""

    @classmethod
    def among(cls, units: Units, wanted: bool = True) -> Turns:
        """Those of the text that the units were split from; none if they are not ``wanted``."""
        spans = list(labels(units.text)) if wanted and len(units) else []
        if not spans:
            none = np.zeros(0, dtype=np.int64)
            return cls(none, none, none)
        edges = np.array(spans, dtype=np.int64)
        starts = np.searchsorted(units.starts, edges[:, 0])
        words = np.searchsorted(units.starts, edges[:, 1])
        inner = np.maximum(words - 1, 0)
        # Those in a block are parts of it, and so are those that begin one.
        found = (words > starts) & (units.ends[inner] <= edges[:, 1]) & ~units.intact[inner]
        starts, words = starts[found], words[found]
        empty = _EMPTY_LINE.search(units.text, spans[-1][1])
        end = int(np.searchsorted(units.starts, empty.start())) if empty else len(units)
        return cls(starts, words, np.maximum(np.append(starts[1:], end)[: len(starts)], words))

    def with_what_stays(self, units: Units, forced: Bools) -> Bools:
        """``forced`` with the labels of which, or of whose turns, a word is forced."""
        if not len(self.starts):
            return forced
        found = self._most(units, forced.astype(np.float32), 0) > 0
        whole = np.add.reduceat(np.append(forced, False), self._pairs(self.starts, self.words))[::2]
        result = forced.copy()
        for start, end in zip(
            self.starts[found | (whole > 0)], self.words[found | (whole > 0)], strict=True
        ):
            result[start:end] = True
        return result

    def worth(self, units: Units, worth: Floats) -> tuple[Floats, Bools]:
        """``worth`` with that of each label raised or lowered to its turn's best word's.

        Also which units are labels.
        """
        inside = np.zeros(len(units), dtype=np.bool_)
        if not len(self.starts):
            return worth, inside
        best = self._most(units, worth, -np.inf)
        raised = worth.copy()
        for start, end, most in zip(self.starts, self.words, best, strict=True):
            inside[start:end] = True
            raised[start:end] = most
        return raised, inside

    def _most(self, units: Units, values: Floats, none: float) -> Floats:
        """The highest value of a word of each turn, ``none`` where there is none."""
        word = (units.kinds != PUNCTUATION) & (units.kinds != LINE)
        padded = np.append(np.where(word, values, none), none)
        most: Floats = np.maximum.reduceat(padded, self._pairs(self.words, self.ends))[::2]
        return np.where(self.words < self.ends, most, none).astype(np.float32)

    @staticmethod
    def _pairs(starts: Ints, ends: Ints) -> Ints:
        return np.stack([starts, ends], axis=1).ravel()
