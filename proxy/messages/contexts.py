"""The contexts of a text: documents or paragraphs that the policy lets go as a whole.

LLMLingua-2's context-level filter, within one text, so that the rule for a message depends on
nothing but that message. Time is linear in the text.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from proxy.config_policy import Policy
from proxy.messages.sentences import trim
from proxy.types import Context, Mark, Passage, Span

_ELEMENT = re.compile(
    r"<(?P<close>/?)(?P<name>(?i:document|doc|passage|context|source|article|result|chunk))"
    r"(?:\s[^<>]{0,500})?>"
)
_NUMBERED = re.compile(
    r"\n[ \t#*]{0,8}(?i:document|doc|passage|context|source|article|chunk|result|excerpt)s?"
    r"[ ]?[\[(#]{0,2}(?:\d{1,4})[\])]?[*_]{0,2}(?:[:.\n(]|[ ][(\[-])"
)
_RULE = re.compile(r"\n[ ]{0,3}(?:-{3,80}|={3,80}|\*{3,80}|_{3,80})[ \t\r]*(?=\n)")
_EMPTY_LINES = re.compile(r"\n[ \t\r]*\n\s*")
_TAG = re.compile(r"<(?P<close>/?)(?P<name>[A-Za-z][\w:.-]*+)[^>]*?(?P<empty>/?)>")
_NEVER_CLOSED = frozenset("area base br col embed hr img input link meta source track wbr".split())


def with_contexts(passage: Passage, policy: Policy) -> Passage:
    """The passage with its contexts, if the policy wants some of them to go.

    A context stays in any case if it holds a question or a span with a rule of its own (a kept or
    tagged one, JSON with strings to shorten), if its tags are not balanced, or if the policy names
    its place.
    """
    if passage.reason or not policy.filters_contexts:
        return passage
    spans = _whole(contexts(passage.text), _unbroken(passage))
    bound = sorted(
        [(mark.start, mark.end) for mark in passage.intact if mark.reason in ("question", "keep")]
        + [(region.start, region.end) for region in passage.regions]
        + [(mark.start, mark.end) for mark in passage.dropped]
        + list(passage.documents)
    )
    tags = [mark for mark in passage.intact if mark.reason == "tag"]
    found = tuple(
        Context(
            *span,
            index in policy.force_context_ids
            or _touches(bound, span)
            or not _balanced(passage.text, _within(tags, span)),
        )
        for index, span in enumerate(spans)
    )
    return replace(passage, forced=_trimmed(passage.text, passage.forced), contexts=found)


def _trimmed(text: str, marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """The marks without white space at their ends, which goes where a neighbour does."""
    spans = [(*trim(text, mark.start, mark.end), mark.reason) for mark in marks]
    return tuple(Mark(start, end, reason) for start, end, reason in spans if start < end)


def contexts(text: str) -> list[Span]:
    """The documents of the text, each with the space after it, or else its paragraphs.

    Documents are elements (``<document>``), or begin at lines such as ``Document [2]`` or
    ``Passage 3:``, or are parted by rules (``---``); what stands before the first or, of elements,
    around them is in none. There are at least two, or none.
    """
    shifted = "\n" + text
    for found in (_elements(text), _from_marks(_NUMBERED, shifted), _from_marks(_RULE, shifted)):
        if len(found) > 1:
            return found
    starts = [0, *(match.end() for match in _EMPTY_LINES.finditer(text))]
    found = [(s, e) for s, e in zip(starts, [*starts[1:], len(text)], strict=True) if s < e]
    return found if len(found) > 1 else []


def _elements(text: str) -> list[Span]:
    """Outermost elements of the kind that holds a document, with the space after each."""
    found: list[Span] = []
    opened: list[str] = []
    start = 0
    for tag in _ELEMENT.finditer(text):
        name = tag["name"].lower()
        if not tag["close"]:
            if not opened:
                start = tag.start()
            opened.append(name)
        elif opened and opened[-1] == name:
            opened.pop()
            if not opened:
                end = tag.end()
                while end < len(text) and text[end].isspace():
                    end += 1
                found.append((start, end))
    return found


def _from_marks(pattern: re.Pattern[str], shifted: str) -> list[Span]:
    starts = [match.start() for match in pattern.finditer(shifted)]
    return list(zip(starts, [*starts[1:], len(shifted) - 1], strict=False))


def _unbroken(passage: Passage) -> list[Span]:
    spans = [(mark.start, mark.end) for mark in (*passage.intact, *passage.forced)]
    spans += [(escape.start, escape.end) for escape in passage.escapes]
    spans += passage.documents
    return sorted([*spans, *((region.start, region.end) for region in passage.regions)])


def _whole(spans: Sequence[Span], unbroken: Sequence[Span]) -> list[Span]:
    """The spans, so that none cuts a piece that must not be cut: two that share one are made one.

    A span whose edge is in a piece and has no neighbour there goes without the piece.
    """
    found: list[Span] = []
    reach = at = 0  # how far the pieces go that begin before the span
    for start, end in spans:
        while at < len(unbroken) and unbroken[at][0] < start:
            reach = max(reach, unbroken[at][1])
            at += 1
        if found and reach > start and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        elif max(start, reach) < end:
            found.append((max(start, reach), end))
    starts = [start for start, _ in unbroken]
    return [span for span in (_before_cut(span, unbroken, starts) for span in found) if span]


def _before_cut(span: Span, unbroken: Sequence[Span], starts: Sequence[int]) -> Span | None:
    """The span up to a piece that goes on beyond it; ``None`` if nothing is left."""
    start, end = span
    last = bisect_left(starts, end) - 1
    if last >= 0 and unbroken[last][1] > end:
        end = unbroken[last][0]
    return (start, end) if start < end else None


def _touches(sorted_spans: Sequence[Span], span: Span) -> bool:
    """Whether one of the spans (sorted, free of overlap) shares a character with ``span``."""
    after = bisect_left(sorted_spans, (span[1], -1))
    return after > 0 and sorted_spans[after - 1][1] > span[0]


def _within(marks: Sequence[Mark], span: Span) -> Sequence[Mark]:
    low = bisect_left(marks, span[0], key=lambda mark: mark.start)
    return marks[low : bisect_left(marks, span[1], key=lambda mark: mark.start)]


def _balanced(text: str, tags: Sequence[Mark]) -> bool:
    """Whether as many elements of each name are closed as are opened."""
    counts: Counter[str] = Counter()
    for mark in tags:
        piece = text[mark.start : mark.end]
        tag = _TAG.fullmatch(piece)
        if tag is None:
            counts["!"] += (piece in ("<!--", "<![CDATA[")) - (piece in ("-->", "]]>"))
        elif not tag["empty"] and tag["name"].lower() not in _NEVER_CLOSED:
            counts[tag["name"]] += -1 if tag["close"] else 1
    return not any(counts.values())
