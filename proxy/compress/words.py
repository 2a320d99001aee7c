"""Splits a text into units that are kept or dropped whole. Knows nothing of tokens or scores.

A unit is a word, a number with its separators and sign, an address, path or identifier, an emoji,
an entity of HTML, an operator, a run of one punctuation mark, or a single CJK character. What
stands between units is white space; where line ends are forced they are units too, a run of them
one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from proxy.compress import plain_words

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_CJK = (
    "\u3005-\u3007\u3040-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_EMOJI = "\u2190-\u2bff\U0001f000-\U0001faff"
# Everything that can't stand inside a word. A list of what is out, not of what is in, so that
# combining marks and scripts that the list does not know stay in one piece.
_NOT_WORD = (
    r"\s\x00-\x1f!-/:-@\[-\^`{-\x7f\x80-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb\xbf\xd7\xf7"
    "\u0589\u05be\u05c0\u05c3\u060c\u061b\u061f\u066a-\u066d\u06d4\u0964\u0965"
    "\u2000-\u200b\u200e-\u206f\u20a0-\u20cf\u2e00-\u2e7f\u3000-\u3004\u3008-\u303f"
    "\ufe10-\ufe1f\ufe30-\ufe6f\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\ufffd"
    + _EMOJI
    + _CJK
)
_W = f"[^{_NOT_WORD}]"
_NAME = r"(?:[A-Za-z][A-Za-z0-9]{1,30}|\#[0-9]{1,7}|\#[xX][0-9A-Fa-f]{1,6});"
_ENTITY = f"&{_NAME}"  # &amp; &#39;
_OPERATOR = r"(?:[!=<>:]=+|=>|->|&&)"  # a part of one is another, or none: != and !
# One mark that may stand between two word characters without ending the unit.
_JOINT = rf"(?:::|{_OPERATOR}|{_ENTITY}|&(?!{_NAME})|[-.+'’:/@~\\$#=%]|(?<=\d),(?=\d))"
_PATTERN = rf"""
    [A-Za-z]+(?=[\s,;?")]|\.\s|!(?!=))                                # most words, fast
  | (?:[A-Za-z][A-Za-z0-9+.\-]{{1,15}}://|www\.)[^\s<>"`]*[^\s<>"`.,;:!?'’)\]}}]  # URL
  | [A-Za-z]:\\[^\s<>"|?*]*[^\s<>"|?*.,;:!)\]]                          # Windows path
  | [{_CJK}]
  | (?:[$€£¥₹₩@\#]|(?<!\S)(?:--?|\+|~?/|\.{{1,2}}/))?                # sigil, sign, option, path
    {_W}+(?:{_JOINT}{_W}+)*
    (?:(?<=\d)[ \u00a0]?(?:%|€|£|¥|₹|°[CF]?)|\+\+|\#(?!{_W}))?        # 5 %, C++, C#
  | [\U0001f1e6-\U0001f1ff]{{2}}                                     # flag
  | [{_EMOJI}](?:[\ufe0f\u20e3\U0001f3fb-\U0001f3ff]|\u200d[{_EMOJI}])*
  | {_ENTITY}
  | {_OPERATOR}
  | ([^\s])\1*                                                       # punctuation, repeated
"""
_LINE = r"\n(?:[ \t\r]*\n)*"
_UNIT = re.compile(_PATTERN, re.VERBOSE)
_UNIT_OR_LINE = re.compile(f"{_LINE}|{_PATTERN}", re.VERBOSE)
_LINES = re.compile(_LINE)
_SHORT = 500
"""Characters below which the pattern alone is as fast."""
_PART = 32_000
"""Characters read at once: meanwhile no other thread runs, such as the event loop's."""
_GAP = re.compile("(?<=[A-Za-z]) (?=[A-Za-z])")

_WHITE = np.array([ord(c) for c in map(chr, range(0x3001)) if c.isspace()], dtype=np.uint32)

WORD, PUNCTUATION, CJK, LINE, INTACT = 0, 1, 2, 3, 4
_OF_EACH = ("strings", "kinds", "opening", "closing", "space_after", "white_after")
"""What is known of each unit by itself."""
_AT_ONCE = 4_096
"""Units handled at once: meanwhile no other thread runs, such as the event loop's."""
_OPENING = "([{“‘«¿¡„「『（【《"
_CLOSING = ")]}”’»,.;:!?%…、。，．：；！？」』）】》،؛؟।"


@dataclass(frozen=True)
class Units:
    """The units of one text, in order, without overlap. Arrays have shape ``(units,)``."""

    text: str
    starts: Ints
    ends: Ints
    intact: Bools
    """Units that are whole blocks outside the budget (a question, a code block)."""

    def __len__(self) -> int:
        return len(self.starts)

    def part(self, index: slice) -> Units:
        """Some of the units in a row, with what is already known of them."""
        part = Units(self.text, self.starts[index], self.ends[index], self.intact[index])
        part.__dict__.update({name: getattr(self, name)[index] for name in _OF_EACH})
        return part

    @cached_property
    def strings(self) -> list[str]:
        text = self.text
        return [text[s:e] for s, e in zip(self.starts.tolist(), self.ends.tolist(), strict=True)]

    @cached_property
    def _distinct(self) -> tuple[list[str], Ints]:
        """Each string once, and which of them each unit is."""
        place: dict[str, int] = {}
        which = np.empty(len(self), dtype=np.int64)
        for at in range(0, len(self), _AT_ONCE):
            some = self.strings[at : at + _AT_ONCE]
            for string in dict.fromkeys(some):
                place.setdefault(string, len(place))
            found = map(place.__getitem__, some)
            which[at : at + len(some)] = np.fromiter(found, np.int64, len(some))
        return list(place), which

    def each(self, tell: Callable[[str], Any], kind: type[np.generic]) -> npt.NDArray[Any]:
        """What ``tell`` says of each unit's string, shape ``(units,)``; asked once a string."""
        strings, which = self._distinct
        return np.fromiter(map(tell, strings), kind, len(strings))[which]

    @cached_property
    def codes(self) -> npt.NDArray[np.uint32]:
        """Code points of the text, shape ``(characters,)``."""
        return np.frombuffer(self.text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)

    @cached_property
    def space_after(self) -> Ints:
        """Where the first plain space after each unit is; past all units if there is none."""
        return self._first_after(self.codes == 32)

    @cached_property
    def white_after(self) -> Ints:
        """Where the first white space of any kind after each unit is."""
        return self._first_after(np.isin(self.codes, _WHITE))

    def _first_after(self, there: Bools) -> Ints:
        places = np.flatnonzero(there)
        return np.append(places, len(there))[np.searchsorted(places, self.ends)]

    @cached_property
    def kinds(self) -> npt.NDArray[np.int8]:
        """WORD, PUNCTUATION, CJK, LINE or INTACT of each unit."""
        kinds = self.each(_kind, np.int8)
        kinds[self.intact] = INTACT
        return kinds

    @cached_property
    def glued(self) -> Bools:
        """Whether nothing stands between a unit and the one before it."""
        glued = np.zeros(len(self), dtype=np.bool_)
        glued[1:] = self.starts[1:] == self.ends[:-1]
        return glued

    @cached_property
    def opening(self) -> Bools:
        """Punctuation that leans on the unit after it."""
        return self._leaning(_OPENING)

    @cached_property
    def closing(self) -> Bools:
        """Punctuation that leans on the unit before it."""
        return self._leaning(_CLOSING)

    def _leaning(self, marks: str) -> Bools:
        found = self.each(lambda string: string[0] in marks, np.bool_)
        return np.asarray(found & (self.kinds == PUNCTUATION))


def split(
    text: str,
    blocks: Sequence[tuple[int, int]] = (),
    *,
    cuts: Sequence[int] = (),
    lines: bool = False,
) -> Units:
    """Units of ``text``; each of the ``blocks`` (sorted spans, no overlap) is one unit.

    Every character that is not white space belongs to exactly one unit; with ``lines`` every run
    of line ends is a unit as well. Outside the blocks no unit goes over one of the ``cuts``.
    """
    found: list[Ints] = []
    intact: list[int] = []
    count = at = 0
    for start, end in sorted([*blocks, *((cut, cut) for cut in cuts)]) if cuts else blocks:
        if end <= at:  # a cut within a block, or where it ends
            continue
        found.append(_edges(text, at, start, lines=lines))
        count += len(found[-1])
        if start < end:
            intact.append(count)
            found.append(np.array([(start, end)], dtype=np.int64))
            count += 1
        at = end
    found.append(_edges(text, at, len(text), lines=lines))
    edges = np.concatenate(found)
    whole = np.zeros(len(edges), dtype=np.bool_)
    whole[intact] = True
    return Units(text, edges[:, 0], edges[:, 1], whole)


def _edges(text: str, start: int, end: int, *, lines: bool) -> Ints:
    """Where the units start and end, shape ``(units, 2)``."""
    if end - start < _SHORT:
        return _matches(_UNIT_OR_LINE if lines else _UNIT, text, start, end)
    read = partial(_matches, _UNIT)
    found = [plain_words.edges(text, *part, read) for part in _parts(text, start, end)]
    ends = _matches(_LINES, text, start, end) if lines else np.zeros((0, 2), dtype=np.int64)
    every = np.concatenate([*found, ends])
    return every[np.argsort(every[:, 0], kind="stable")] if len(ends) else every


def _parts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Parts of the text that end between two words."""
    while end - start > _PART and (gap := _GAP.search(text, start + _PART, end)):
        yield start, gap.start()
        start = gap.end()
    yield start, end


def _matches(pattern: re.Pattern[str], text: str, start: int, end: int) -> Ints:
    """Where the matches start and end, shape ``(matches, 2)``."""
    matches = pattern.finditer(text, start, end)
    found = [np.zeros((0, 2), dtype=np.int64)]
    while spans := list(map(re.Match.span, islice(matches, _AT_ONCE))):
        flat = np.fromiter(chain.from_iterable(spans), np.int64, 2 * len(spans))
        found.append(flat.reshape(-1, 2))
    return np.concatenate(found)


def _kind(unit: str) -> int:
    first = unit[0]
    if first == "\n":
        return LINE
    if first.isascii():
        return WORD if unit[-1].isalnum() or any(map(str.isalnum, unit)) else PUNCTUATION
    if _IS_CJK.match(first):
        return CJK
    return WORD if _IS_WORD.search(unit) else PUNCTUATION


_IS_CJK = re.compile(f"[{_CJK}]")
_IS_WORD = re.compile(f"[{_EMOJI}]|{_W}")
