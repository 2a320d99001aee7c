"""Which spans of a message are what its author asks, by a rule that sees that message alone.

Knows nothing of roles or of other messages. A message's question is the union of:

- labelled blocks, wherever they stand (labels.py);
- its first and its last paragraph where short (at most SHORT_WORDS words). A paragraph of
  hardly a word ("Hi,", "---", "Thanks!", "Answer:") does not count: the next one does too;
- where one of these is long: its outer line if short and complete, else its outer sentence, and
  all question sentences within EDGE_WORDS (of lines: LINE_EDGE_WORDS) of its two ends.

So a long document without blank lines is never swallowed, and an instruction before or after it
is found.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.messages.labels import labelled, labelled_inline, tagged
from proxy.messages.sentences import (
    SHORT_CHARS,
    SHORT_WORDS,
    head,
    is_short,
    paragraphs,
    sentences,
    tail,
    trim,
    words_within,
)
from proxy.types import Mark, Span

EDGE_WORDS = 150
"""How far from the ends of a long first or last paragraph a question sentence is looked for."""
LINE_EDGE_WORDS = 60
"""... where it is made of lines: a transcript is full of questions that its reader did not ask."""
EDGE_CHARS = 1500
PRELUDE_WORDS = 3
"""A greeting, a rule of dashes, thanks: too few words to be what is asked."""
CUE_WORDS = 6
"""``Your answer in French:`` at the end asks for nothing new: the question stands before it."""
STEPS = 3
"""How many paragraphs from either end are looked at, at most."""

_ENDS = ".?!:。？！：…\"”'’)]"
_QUESTION_ENDS = "\"'”’»)]*_」』）"


def question_marks(text: str) -> tuple[Mark, ...]:
    """Marks of what is asked, sorted, free of overlap, without outer white space."""
    spans = [*labelled(text), *labelled_inline(text), *tagged(text)]
    blocks = paragraphs(text, 0, len(text))
    spans += _first(text, blocks)
    spans += _last(text, blocks)
    return tuple(Mark(start, end, "question") for start, end in _union(text, spans))


def _first(text: str, blocks: Sequence[Span]) -> list[Span]:
    found: list[Span] = []
    for block in blocks[:STEPS]:
        found += [block] if is_short(text, *block) else [*_opening(text, *block)]
        if (
            words_within(text, *block, PRELUDE_WORDS) > PRELUDE_WORDS
            or text[block[1] - 1] in ":?？"
        ):
            break
    return found


def _last(text: str, blocks: Sequence[Span]) -> list[Span]:
    found: list[Span] = []
    for block in blocks[: -STEPS - 1 : -1]:
        found += [block] if is_short(text, *block) else [*_closing(text, *block)]
        words = words_within(text, *block, CUE_WORDS)
        cue = text[block[1] - 1] in ":：" and words <= CUE_WORDS
        if not cue and (words > PRELUDE_WORDS or text[block[1] - 1] in "?？"):
            break
    return found


def _opening(text: str, start: int, end: int) -> list[Span]:
    """The first line or sentence of a long paragraph, and the questions at its ends."""
    newline = text.find("\n", start, end)
    line = trim(text, start, newline if newline >= 0 else end)
    if newline >= 0 and is_short(text, *line) and not _wrapped(text, line[1], newline + 1):
        return [line, *_questions(text, start, end, LINE_EDGE_WORDS)]
    edge = head(text, start, end, SHORT_WORDS, SHORT_CHARS)
    outer = _enough(text, sentences(text, start, edge))
    return [outer, *_questions(text, start, end, EDGE_WORDS)]


def _closing(text: str, start: int, end: int) -> list[Span]:
    """The last line or sentence of a long paragraph, and the questions at its ends."""
    found: list[Span] = []
    at, words = end, LINE_EDGE_WORDS
    for step in range(STEPS):
        newline = text.rfind("\n", start, at)
        line = trim(text, newline + 1, at)
        before = trim(text, start, max(newline, start))[1]
        if newline < 0 or not is_short(text, *line) or _wrapped(text, before, line[0]):
            edge = tail(text, start, at, SHORT_WORDS, SHORT_CHARS)
            found.append(_enough(text, sentences(text, edge, at)[::-1]))
            words = LINE_EDGE_WORDS if step else EDGE_WORDS
            break
        found.append(line)
        cue = line[0] < line[1] and text[line[1] - 1] in ":："
        if words_within(text, *line, CUE_WORDS) > (CUE_WORDS if cue else PRELUDE_WORDS):
            break
        at = newline
    return [*found, *_questions(text, start, end, words)]


def _wrapped(text: str, end: int, following: int) -> bool:
    """Whether the line that ends there goes on in the next one, as hard-wrapped prose does."""
    return text[end - 1] not in _ENDS and text[following : following + 1].islower()


def _enough(text: str, ordered: Sequence[Span]) -> Span:
    """The outermost sentence, with its neighbour where it is a mere greeting."""
    if not ordered:
        return (0, 0)
    outer = ordered[0]
    if len(ordered) > 1 and words_within(text, *outer, PRELUDE_WORDS) <= PRELUDE_WORDS:
        return min(outer[0], ordered[1][0]), max(outer[1], ordered[1][1])
    return outer


def _questions(text: str, start: int, end: int, words: int) -> list[Span]:
    """Question sentences near either end of the span, each no longer than a short paragraph."""
    first = head(text, start, end, words, EDGE_CHARS)
    last = tail(text, start, end, words, EDGE_CHARS)
    edges = [(start, end)] if last <= first else [(start, first), (last, end)]
    return [
        (tail(text, s, e, SHORT_WORDS, SHORT_CHARS), e)
        for edge in edges
        for s, e in sentences(text, *edge)
        if text[s:e].rstrip(_QUESTION_ENDS).endswith(("?", "？"))
    ]


def _union(text: str, spans: list[Span]) -> list[Span]:
    """The spans trimmed, sorted, with those that touch made one."""
    merged: list[Span] = []
    for start, end in sorted(trim(text, *span) for span in spans):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
