"""Items of lists and quoted lines: their marks, their keys, and what stands under them.

An item of "- Key: value" has its mark and its key in one head. Every search is bounded by a line
or by the next mark, so that time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_MARK = r"(?:[-*+•‣◦–]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,5})[.)])(?:[ ]\[[ xX]\])?"
_PART = r"(?![-–—])[^\s:;!?*`|]{1,30}(?<![.,])"
_DASH = r"[ ](?:--?|–|—)(?=[ ])"
_KEY = (
    # In bold: to a colon or dash behind it, or to what ends it.
    rf"(?:(?P<bold>\*\*|__)[^\s*_][^*\n]{{0,60}}(?:(?P=bold):|(?<=[:.!?])(?P=bold)|(?P=bold){_DASH})"
    # As code, or up to five words: to a colon, or to a dash between spaces.
    rf"|(?:`[^`\n]{{1,60}}`|{_PART}(?:,?[ ]{_PART}){{0,4}}+)(?::(?=[ \t]|\r?\n|\Z)|{_DASH}))"
)
_ITEM = re.compile(
    rf"\n(?P<indent>[ \t>]{{0,24}})(?P<mark>{_MARK})(?=[ \t])(?:[ \t]{{1,4}}(?P<key>{_KEY}))?"
)
_QUOTE_MARK = re.compile(r"\n[ \t]{0,3}(?P<mark>>(?:[ ]?>){0,12})")
_PARAGRAPH_ENDS = re.compile(r"\n[ \t\r>]*(?=\n)")

Head = tuple[int, int, int]
"""Where a head starts and ends, and where ends what it stands over."""


def items(text: str, *, keys: bool) -> Iterator[Head]:
    """The mark of each item of a list, and with ``keys`` the key that follows it.

    A mark stands over its item's first paragraph, a key over the items further in as well.
    """
    text = "\n" + text
    found = list(_ITEM.finditer(text))
    starts = [match.start() for match in found]
    stops = []
    for match, following in zip(found, [*starts[1:], len(text)], strict=False):
        end = _PARAGRAPH_ENDS.search(text, match.end(), following)
        stops.append(end.start() if end else following)
    deeper = _deeper([len(match["indent"].expandtabs(4)) for match in found])
    for match, stop, last in zip(found, stops, deeper, strict=True):
        key = keys and match["key"] is not None
        yield (
            match.start("mark") - 1,
            match.end("key" if key else "mark") - 1,
            (stops[last] if key else stop) - 1,
        )


def _deeper(indents: list[int]) -> list[int]:
    """For each item the last of those in a row after it that are indented further, or itself."""
    last = list(range(len(indents)))
    open_items: list[int] = []
    for index, indent in enumerate([*indents, -1]):
        while open_items and indents[open_items[-1]] >= indent:
            last[open_items.pop()] = index - 1
        open_items.append(index)
    return last


def is_mark(head: str) -> bool:
    """Whether there is no key in the head of an item."""
    return re.fullmatch(_MARK, head) is not None


def quoted_lines(text: str) -> Iterator[Head]:
    """The marks that open quoted lines, each over its line."""
    text = "\n" + text
    for match in _QUOTE_MARK.finditer(text):
        stop = text.find("\n", match.end())
        yield match.start("mark") - 1, match.end("mark") - 1, (len(text) if stop < 0 else stop) - 1
