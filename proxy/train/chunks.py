"""Cuts a text into chunks of at most so many tokens, at sentence ends. Knows nothing of LLMs.

The chunks are spans that follow each other without a hole, so that their texts joined are the
text. The authors' script cuts a list of token ids instead: where a cut falls inside a character it
writes replacement characters, a chunk may have 513 tokens, "3." of "3.5" counts as a sentence's
end, and a sentence without a full stop is cut inside a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from proxy.compress.words import CJK, split
from proxy.types import Span

CHUNK_TOKENS = 512
"""The paper's length (arXiv 2403.12968, section 4.1)."""

Count = Callable[[str], int]

_SENTENCE_END = re.compile(
    r"""(?<![.!?…])([.!?…]+)["'”’»)\]]*\s+      # 1: a stop, only with white space behind it
      | [。！？｡]+[」』”’）]*\s*                # CJK needs none
      | \n\s*                                  # a line's end""",
    re.VERBOSE,
)
_LAST_WORD = re.compile(r"[\w.]{1,12}\Z")
_SHORT_FORMS = frozenset(
    "mr mrs ms dr prof sen rep gov gen col lt sgt st jr sr vs etc e.g i.e cf al fig figs eq no nos "
    "vol pp p ch sec inc ltd corp co dept approx jan feb mar apr jun jul aug sep sept oct nov dec "
    "a.m p.m u.s u.k".split()
)


def chunks(text: str, count: Count, limit: int = CHUNK_TOKENS) -> list[Span]:
    """Spans of ``text``, in order and without a hole; none for an empty text.

    ``count`` gives the tokens of a string. A chunk ends at a sentence's end; inside a sentence of
    over ``limit`` tokens, at white space or between CJK characters; failing that, between two
    units of ``proxy.compress.words``. Only a single unit that is longer than ``limit`` (a long
    URL, encoded data) makes a longer chunk, because words are never cut.
    """
    pieces: list[Span] = []
    for sentence in sentences(text):
        pieces += _pieces(text, sentence, count, limit)
    return _pack(text, pieces, count, limit)


def sentences(text: str) -> list[Span]:
    """Spans of the sentences with the white space that follows them, without a hole."""
    cuts = [match.end() for match in _SENTENCE_END.finditer(text) if _is_end(text, match)]
    return _between(0, cuts, len(text))


def _is_end(text: str, match: re.Match[str]) -> bool:
    """Whether a stop ends a sentence: not after "Dr.", "J." or before a small letter."""
    if match[1] is None or "\n" in match[0]:
        return True
    if text[match.end() : match.end() + 1].islower():
        return False
    if match[1] != ".":
        return True
    word = _LAST_WORD.search(text, max(0, match.start() - 12), match.start())
    if word is None:
        return True
    initial = len(word[0]) == 1 and word[0].isupper() and word[0] != "I"
    return not initial and word[0].lower() not in _SHORT_FORMS


def _pieces(text: str, sentence: Span, count: Count, limit: int) -> list[Span]:
    start, end = sentence
    if count(text[start:end]) <= limit:
        return [sentence]
    pieces: list[Span] = []
    for word in _between(start, _cuts(text, sentence, inside_words=False), end):
        if count(text[word[0] : word[1]]) <= limit:
            pieces.append(word)
        else:
            pieces += _between(word[0], _cuts(text, word, inside_words=True), word[1])
    return _pack(text, pieces, count, limit)


def _cuts(text: str, span: Span, *, inside_words: bool) -> Iterator[int]:
    """Where a span may be cut: before a unit with white space before it, or CJK, or any unit."""
    start, end = span
    units = split(text[start:end])
    kinds, glued = units.kinds.tolist(), units.glued.tolist()
    closing, opening = units.closing.tolist(), units.opening.tolist()
    for index in range(1, len(units)):
        cjk = CJK in kinds[index - 1 : index + 1] and not (closing[index] or opening[index - 1])
        if inside_words or cjk or not glued[index]:
            yield start + int(units.starts[index])


def _between(start: int, cuts: Iterator[int] | Sequence[int], end: int) -> list[Span]:
    edges = [start, *(cut for cut in cuts if start < cut < end), end]
    return [(a, b) for a, b in pairwise(edges) if a < b]


def _pack(text: str, pieces: Sequence[Span], count: Count, limit: int) -> list[Span]:
    """Joins neighbouring pieces while they fit; a piece that is too long stays alone.

    The sum of the pieces' counts is a cheap bound from above that holds nearly always (a token
    may span two pieces), so the joined text is counted only where the sum no longer fits and,
    to be sure of it, once at the end of each chunk.
    """
    packed: list[Span] = []
    first = 0
    while first < len(pieces):
        start, known = pieces[first][0], 0
        last = first
        while last < len(pieces):
            known += count(text[pieces[last][0] : pieces[last][1]])
            if known > limit:
                known = count(text[start : pieces[last][1]])
            if known > limit:
                break
            last += 1
        while last - 1 > first and count(text[start : pieces[last - 1][1]]) > limit:
            last -= 1
        last = max(last, first + 1)
        packed.append((start, pieces[last - 1][1]))
        first = last
    return packed
