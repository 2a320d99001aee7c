"""Tables: Markdown and boxed ones, and columns parted by tabs, commas, semicolons or space.

Time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import takewhile

from proxy.types import Mark, Span

MIN_ROWS = 3
MAX_CELL = 40
"""Mean characters per cell above which lines with equally many commas are prose."""
MAX_CELL_WORDS = 3
"""Mean words per cell above which lines that leave the same columns free are prose."""

_SEPARATORS = ("\t", ",", ";")
_DELIMITER_ROW = re.compile(r"\s*+\|?\s*+:?-+:?\s*+(?:[|+]\s*+:?-+:?\s*+)*+\|?\s*+$")
_GAP = re.compile(r"(?<=\S)[ ]{2,}+(?=\S)")
_QUOTED_CELL = re.compile(r'"[^"]*"')


def tables(text: str) -> tuple[Mark, ...]:
    """Markdown and boxed tables, and at least MIN_ROWS lines of columns.

    Columns are parted by tabs, commas or semicolons, or set with spaces so that all lines leave
    the same places free.
    """
    if not any(sign in text for sign in ("|", "+", "\t", ",", ";", "  ")):
        return ()
    lines = text.split("\n")
    found: list[Mark] = []
    at = offset = 0
    while at < len(lines):
        rows = _rows(lines, at) or 1
        size = sum(map(len, lines[at : at + rows])) + rows
        if rows > 1:
            found.append(Mark(offset, offset + size - 1, "table"))
        at += rows
        offset += size
    return tuple(found)


def _rows(lines: Sequence[str], at: int) -> int:
    """How many lines from there on make a table; 0 if they make none."""
    line = lines[at]
    if "|" in line and at + 1 < len(lines) and _DELIMITER_ROW.match(lines[at + 1]):
        return 2 + _run(lines, at + 2, lambda line: "|" in line)
    rows = _run(lines, at, _is_boxed) if _is_boxed(line) else 0
    if rows >= MIN_ROWS:
        return rows
    for sign in _SEPARATORS:
        rows = _columned(lines, at, sign) if sign in line else 0
        if rows >= MIN_ROWS:
            return rows
    rows = _aligned(lines, at)
    return rows if rows >= MIN_ROWS else 0


def _run(lines: Sequence[str], at: int, belongs: Callable[[str], bool]) -> int:
    following = (lines[i] for i in range(at, len(lines)))
    return sum(1 for _ in takewhile(belongs, following))


def _columned(lines: Sequence[str], at: int, sign: str) -> int:
    """How many lines from there on have as many columns as the first; 0 if that is prose."""
    columns = _columns(lines[at], sign)
    return _run(lines, at, lambda line: _columns(line, sign) == columns) if columns else 0


def _is_boxed(line: str) -> bool:
    line = line.strip()
    return len(line) > 1 and line[0] in "|+" and line[-1] in "|+"


def _columns(line: str, sign: str) -> int:
    """Columns of a row; 0 for a line that reads like prose."""
    line = line.strip()
    count = line.count(sign)
    if count and '"' in line:
        line = _QUOTED_CELL.sub("", line)
        count = line.count(sign)
    spaced = line.count(sign + " ") * 2 > count
    if spaced or count < (1 if sign == "\t" else 2) or len(line) > MAX_CELL * (count + 1):
        return 0
    return count + 1


def _aligned(lines: Sequence[str], at: int) -> int:
    """How many lines from there on leave the same places free, and do not read like prose."""
    free, end, cells, words = _gaps(lines[at]), at, 0, 0
    while free:
        cells += 1 + len(_gaps(lines[end]))
        words += len(lines[end].split())
        if words > cells * MAX_CELL_WORDS:
            break
        end += 1
        free = _both(free, _gaps(lines[end])) if end < len(lines) else []
    return end - at


def _gaps(line: str) -> list[Span]:
    """Where two spaces or more stand between words."""
    return [match.span() for match in _GAP.finditer(line)] if "  " in line else []


def _both(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """What two ordered lists of spans have in common."""
    found: list[Span] = []
    i = j = 0
    while i < len(one) and j < len(other):
        start, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if start < end:
            found.append((start, end))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return found
