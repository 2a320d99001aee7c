"""The last look before anything is sent: verify a compressed text, or put the original back.

Pure. Each check is a small function that says whether all is well; CHECKS is their order.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from proxy.types import Compressed, Mark, Passage, Span

Check = Callable[[Passage, Compressed], bool]


class _Number(str):
    """A JSON number or constant as it was written, unequal to the string of the same letters."""


def verify(passage: Passage, compressed: Compressed) -> Compressed:
    """``compressed`` if every check holds, else the passage's own text with the reason why.

    The reason is ``gate: NAME`` of the check that failed, or ``no saving``.
    """
    for name, check in CHECKS:
        if not check(passage, compressed):
            return _original(passage, compressed, f"gate: {name}")
    if compressed.reason:
        return compressed
    if compressed.text == passage.text or compressed.tokens_after == compressed.tokens_before:
        return _original(passage, compressed, "no saving")
    return compressed


def _original(passage: Passage, compressed: Compressed, reason: str) -> Compressed:
    kept = ((0, len(passage.text)),) if passage.text else ()
    tokens = compressed.tokens_before
    return replace(compressed, text=passage.text, kept=kept, tokens_after=tokens, reason=reason)


def mask_is_sound(passage: Passage, compressed: Compressed) -> bool:
    """Kept spans are not empty, ascend without overlap, and lie within the text."""
    at = 0
    for start, end in compressed.kept:
        if not at <= start < end:
            return False
        at = end
    return at <= len(passage.text)


def text_is_what_was_kept(passage: Passage, compressed: Compressed) -> bool:
    """The text is the kept spans of the original and nothing else."""
    return compressed.text == "".join(passage.text[s:e] for s, e in compressed.kept)


def alone_is_untouched(passage: Passage, compressed: Compressed) -> bool:
    """A passage to be left alone, or a result that says it is unchanged, has its own text."""
    return not (passage.reason or compressed.reason) or compressed.text == passage.text


def marks_are_kept(passage: Passage, compressed: Compressed) -> bool:
    """Every intact and every forced mark lies within what was kept."""
    kept = _joined(compressed.kept)
    return _all_within(passage.intact, kept) and _all_within(passage.forced, kept)


def dropped_is_gone(passage: Passage, compressed: Compressed) -> bool:
    """Nothing that must not be sent is, in a text that was changed."""
    if compressed.reason or not passage.dropped:
        return True
    starts = [mark.start for mark in passage.dropped]
    ends = [mark.end for mark in passage.dropped]
    # As many must have ended before a kept span begins as have begun before it ends.
    return all(bisect_right(ends, s) == bisect_left(starts, e) for s, e in compressed.kept)


def something_is_left(passage: Passage, compressed: Compressed) -> bool:
    """A text that said something still does: upstreams refuse empty messages."""
    return bool(compressed.text.strip()) or not passage.text.strip()


def nothing_grew(passage: Passage, compressed: Compressed) -> bool:
    """The tokens did not become more."""
    return 0 <= compressed.tokens_after <= compressed.tokens_before


def json_is_whole(passage: Passage, compressed: Compressed) -> bool:
    """What was JSON has the same keys and scalars; of its strings a part may be gone."""
    if compressed.text == passage.text:
        return True
    documents = passage.documents or ((0, len(passage.text)),)
    return all(_is_still_whole(document, passage, compressed) for document in documents)


def _is_still_whole(document: Span, passage: Passage, compressed: Compressed) -> bool:
    text = passage.text
    dropped = [(mark.start, mark.end) for mark in passage.dropped]
    before = _json("".join([text[s:e] for s, e in _apart(document, dropped)]))
    if before is None:
        return True
    after = "".join([text[s:e] for s, e in _within(document, compressed.kept)])
    return _same_shape(before, _json(after))


CHECKS: tuple[tuple[str, Check], ...] = (
    ("mask", mask_is_sound),
    ("text", text_is_what_was_kept),
    ("untouched", alone_is_untouched),
    ("protected", marks_are_kept),
    ("dropped", dropped_is_gone),
    ("empty", something_is_left),
    ("larger", nothing_grew),
    ("json", json_is_whole),
)


def _joined(spans: tuple[Span, ...]) -> list[Span]:
    """The spans with those that touch made one."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and joined[-1][1] == start:
            start = joined.pop()[0]
        joined.append((start, end))
    return joined


def _all_within(marks: tuple[Mark, ...], kept: list[Span]) -> bool:
    at = 0
    for mark in sorted(marks, key=lambda m: m.start):
        while at < len(kept) and kept[at][1] < mark.end:
            at += 1
        if mark.start < mark.end and (at == len(kept) or kept[at][0] > mark.start):
            return False
    return True


def _within(outer: Span, spans: Sequence[Span]) -> list[Span]:
    """What of the spans (sorted, apart) lies within ``outer``."""
    start, end = outer
    found: list[Span] = []
    for at in range(bisect_right(spans, start, key=lambda span: span[1]), len(spans)):
        if spans[at][0] >= end:
            break
        found.append((max(spans[at][0], start), min(spans[at][1], end)))
    return found


def _apart(outer: Span, spans: Sequence[Span]) -> list[Span]:
    """What of ``outer`` is left without the spans (sorted, apart)."""
    edges = [outer[0], *(edge for span in _within(outer, spans) for edge in span), outer[1]]
    return [(s, e) for s, e in zip(edges[::2], edges[1::2], strict=True) if s < e]


def _json(text: str) -> Any:
    """The object or array that the text is, objects as pairs; ``None`` if it is neither."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(
            text,
            object_pairs_hook=tuple,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_Number,
        )
    except (json.JSONDecodeError, RecursionError):
        return None


def _same_shape(before: Any, after: Any) -> bool:
    """Whether two values differ in their strings at most, and there by deletions only."""
    pending = [(before, after)]
    while pending:
        one, other = pending.pop()
        if type(one) is not type(other):
            return False
        if isinstance(one, tuple):  # an object
            if [name for name, _ in one] != [name for name, _ in other]:
                return False
            pending += [(a[1], b[1]) for a, b in zip(one, other, strict=True)]
        elif isinstance(one, list):
            if len(one) != len(other):
                return False
            pending += zip(one, other, strict=True)
        elif type(one) is str:
            letters = iter(one)
            if not all(letter in letters for letter in other):
                return False
        elif one != other:
            return False
    return True
