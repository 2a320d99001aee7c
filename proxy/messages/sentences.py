"""Paragraphs, sentences and counts of words as offsets, each within stated bounds.

A word is a run of letters and digits; an ideograph or kana counts as one.
"""

from __future__ import annotations

import re
from itertools import islice

from proxy.types import Span

SHORT_WORDS = 60
"""A paragraph of at most so many words can be a question or an instruction as a whole."""
SHORT_CHARS = 600
"""... and of at most so many characters: an encoded blob is one word."""

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+")
_BLANK_LINES = re.compile(r"\n[ \t\r]*\n\s*")
_SENTENCE_END = re.compile(
    r"(?P<stop>[.!?…]+)[\"'”’»)\]*_]{0,4}(?=\s|$)|[。！？]+[」』”’）]{0,4}|:(?=[ \t]*\r?\n)"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|mt|vs|etc|fig|eq|no|inc|ltd|co|corp|jr|sr|gen|rep|sen|gov|"
    r"approx|dept|est|vol|pp|al|cf|ca)|\b[a-z]|\b(?:[a-z]\.)+[a-z])\.$",
    re.IGNORECASE,
)


def paragraphs(text: str, start: int, end: int) -> list[Span]:
    """The runs of non-blank lines in ``text[start:end]``, without the white space around."""
    breaks = [m.span() for m in _BLANK_LINES.finditer(text, start, end)]
    starts = [start, *(b[1] for b in breaks)]
    ends = [*(b[0] for b in breaks), end]
    trimmed = (trim(text, s, e) for s, e in zip(starts, ends, strict=True))
    return [span for span in trimmed if span[0] < span[1]]


def trim(text: str, start: int, end: int) -> Span:
    """The span without white space at its ends; empty if it holds nothing else."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def words_within(text: str, start: int, end: int, most: int) -> int:
    """How many words the span has, counted up to ``most + 1``."""
    return sum(1 for _ in islice(_WORD.finditer(text, start, end), most + 1))


def is_short(text: str, start: int, end: int) -> bool:
    """Whether the span is small enough to be a question as a whole."""
    return end - start <= SHORT_CHARS and words_within(text, start, end, SHORT_WORDS) <= SHORT_WORDS


def sentences(text: str, start: int, end: int) -> list[Span]:
    """The sentences of the span. A full stop after an abbreviation or an initial ends none."""
    found, at = [], start
    for match in _SENTENCE_END.finditer(text, start, end):
        stop = match["stop"]
        if stop == "." and _ABBREVIATION.search(text, max(at, match.start() - 12), match.end()):
            continue
        found.append(trim(text, at, match.end()))
        at = match.end()
    rest = trim(text, at, end)
    return [*found, rest] if rest[0] < rest[1] else found


def head(text: str, start: int, end: int, words: int, chars: int) -> int:
    """The end of the first so many words and characters of the span, at a word's edge.

    ``start`` if the first word alone is longer.
    """
    if end - start > chars:
        end = start + chars
        while end > start and _joined(text, end):
            end -= 1
    ends = [m.end() for m in islice(_WORD.finditer(text, start, end), words + 1)]
    if len(ends) <= words:
        return end
    end = ends[words - 1]
    while end > start and _joined(text, end):  # let's
        end -= 1
    return trim(text, start, end)[1]


def tail(text: str, start: int, end: int, words: int, chars: int) -> int:
    """The start of the last so many words and characters of the span, at a word's edge.

    ``end`` if the last word alone is longer.
    """
    if end - start > chars:
        start = end - chars
        while start < end and _joined(text, start):
            start += 1
    starts = [m.start() for m in _WORD.finditer(text, start, end)]
    if len(starts) <= words:
        return start
    start = starts[-words]
    while start < end and _joined(text, start):
        start += 1
    return trim(text, start, end)[0]


def clip(text: str, start: int, end: int) -> int:
    """The end of as many first sentences as are short together; of their words if none is."""
    if is_short(text, start, end):
        return trim(text, start, end)[1]
    edge = head(text, start, end, SHORT_WORDS, SHORT_CHARS)
    whole = [e for _, e in sentences(text, start, edge)[:-1]]
    return whole[-1] if whole else edge


def _joined(text: str, at: int) -> bool:
    """Whether a cut there would part a word. Ideographs may be parted."""
    pair = text[at - 1 : at + 1]
    return not (any(c.isspace() for c in pair) or re.match(rf"[{_CJK}]{{2}}", pair))
