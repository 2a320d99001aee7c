"""The shape of a text that machines read: JSON that parses, fences that close, words apart.

Read once from the original and once from what is to be sent, and compared.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from proxy.gate.case import Case
from proxy.types import Span

_FENCE = re.compile(r"\n(?P<margin>[ \t>]{0,16})(?P<fence>`{3,}|~{3,})(?P<info>[^\n]*)")
_ASCII_WORDS = np.array([chr(code).isalnum() for code in range(128)])
_ALONE = re.compile(  # ideographs, kana, and signs that count as letters, such as those in circles
    "[\u2190-\u2bff\u3005-\u3007\u3040-\u30ff\u3105-\u312f\u31a0-\u31ff\u3200-\u33ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U0001f000-\U0001faff\U00020000-\U0003ffff]"
)
_MIN_OBJECT = 16
"""Characters below which a line in braces is not taken for JSON."""


class _Number(str):
    """A JSON number or constant as it was written, unequal to the string of the same letters."""


def json_is_whole(case: Case) -> bool:
    """What was JSON has the same keys and scalars; of its strings a part may be gone.

    Also line by line, for logs and results with one object a line, where JSON is protected.
    """
    documents = case.passage.documents or ((0, len(case.before)),)
    kept = tuple(case.compressed.kept)
    if not all(_is_still_whole(case, document, kept) for document in documents):
        return False
    return "json" not in case.policy.protect or _same_objects(case.reading.sent, case.after)


def _is_still_whole(case: Case, document: Span, kept: Sequence[Span]) -> bool:
    text, dropped = case.before, [(mark.start, mark.end) for mark in case.passage.dropped]
    before = _json("".join([text[s:e] for s, e in _apart(document, dropped)]))
    if before is None:
        return True
    after = "".join([text[s:e] for s, e in _within(document, kept)])
    return _same_shape(before, _json(after))


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


def words_are_whole(case: Case) -> bool:
    """No word is cut in two, and no two became one: "3" and "5" with nothing between are 35.

    Ideographs and kana, which have no spaces between them, may stand alone and together, and so
    may what a dropped tag stood between.
    """
    text = case.reading.text
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    kept = case.kept_of_reading
    edges = kept.ravel()
    edges = edges[(edges > 0) & (edges < len(codes)) & ~np.isin(edges, case.reading.breaks)]
    if (_in_words(codes[edges - 1]) & _in_words(codes[edges])).any():
        return False
    left, right = kept[:-1, 1], kept[1:, 0]
    return not (_in_words(codes[left - 1]) & _in_words(codes[right])).any()


def _in_words(codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
    """Which characters are letters or digits of scripts that put spaces between words."""
    found = _ASCII_WORDS[np.minimum(codes, 127)]
    for at in np.flatnonzero(codes >= 128).tolist():
        char = chr(int(codes[at]))
        found[at] = char.isalnum() and not _ALONE.match(char)
    return found


def fences_are_balanced(case: Case) -> bool:
    """As many blocks of code open and close as before, and so does the last of them."""
    return _fences(case.reading.sent) == _fences(case.after)


def _same_objects(before: str, after: str) -> bool:
    """Whether the lines that are JSON objects are still there, in order, less of their strings."""
    if '{"' not in before:
        return True
    lines = (line for line in before.split("\n") if len(line.strip()) >= _MIN_OBJECT)
    wanted = [value for value in map(_object, lines) if value is not None]
    found = (value for value in map(_object, after.split("\n")) if value is not None)
    return all(any(_same_shape(value, other) for other in found) for value in wanted)


def _object(line: str) -> Any:
    stripped = line.strip()
    whole = stripped[:2] == '{"' and stripped[-1] == "}"
    return _json(stripped) if whole else None


def _fences(text: str) -> tuple[list[str], bool]:
    """What opens each block, with its quotation marks, and whether the last one is open."""
    found: list[str] = []
    opened = ""
    if "```" not in text and "~~~" not in text:
        return found, False
    for match in _FENCE.finditer("\n" + text):
        fence, info = match["fence"], match["info"].strip()
        if opened:
            closes = fence[0] == opened[0] and len(fence) >= len(opened) and not info
            opened = "" if closes else opened
        elif fence[0] == "~" or "`" not in info:
            opened = fence
            found.append(">" * match["margin"].count(">") + fence + info)
    return found, bool(opened)


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
