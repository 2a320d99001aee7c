"""Blocks that stay as they are: code, JSON and tables, found without reading the prose around.

Each function takes a text and returns sorted marks free of overlap, in time linear in the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile

from proxy.messages.spans import disjoint
from proxy.types import Mark, Span

MIN_JSON = 16
"""Characters below which a bracketed piece of prose is not worth calling JSON: ``[1]``, ``{x}``."""
MAX_DEPTH = 200
"""Nested brackets beyond which nothing is called JSON."""
MIN_ROWS = 3
MAX_CELL = 40
_SEPARATORS = ("\t", ",", ";")
"""Mean characters per cell above which lines with equally many commas are prose."""

_FENCE = re.compile(r"\n(?P<indent>[ \t>]{0,16})(?P<fence>`{3,}|~{3,})(?P<info>[^\n]*)")
_TOKEN = re.compile(r'"(?:[^"\\\n]++|\\.)*+"|[\[\]{}"\\]')
_OPENING = re.compile(r'\{\s*+["}]|\[\s*+["\d\[{tfn\]-]')
_PAIRS = {"]": "[", "}": "{"}
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)

_CODE_LINE = re.compile(
    r"[;{}]\s*$|^\s*(?:def|class|import|return|public|private|static|const|let|var|function|func|"
    r"fn|package|SELECT|INSERT|UPDATE|CREATE|sudo|pip|npm|git|curl)\s+\S|^\s*(?:#include|#!|\$ |"
    r">>>|//|/\*|@\w)|^\s*(?:if|for|while|else|elif|try|except|with|switch|case)\b.*[:{(]\s*$|"
    r"\w\s*(?:[-+*|]?=|:=|==|->|=>)\s*\S|[\w\])]\([^()]*\)\s*[:;{]?\s*$|^\s*[)\]}]"
)
_INDENTED = re.compile(r"(?: {4}|\t)[^\n]*\S")
_DELIMITER_ROW = re.compile(r"\s*+\|?\s*+:?-+:?\s*+(?:\|\s*+:?-+:?\s*+)*+\|?\s*+$")
_QUOTED_CELL = re.compile(r'"[^"]*"')


def code_blocks(text: str) -> tuple[Mark, ...]:
    """Fenced blocks (CommonMark 4.5, an open one runs to the end) and clear indented ones."""
    spans = [*_fences(text), *_indented(text)]
    return disjoint(Mark(start, end, "code") for start, end in spans)


def is_json(text: str) -> bool:
    """Whether the whole text is one JSON object or array."""
    stripped = text.strip()
    return stripped[:1] in ("{", "[") and _parse_end(stripped, 0) == len(stripped)


def json_blocks(text: str) -> tuple[Mark, ...]:
    """JSON objects and arrays of at least MIN_JSON characters, the outermost ones that parse.

    Brackets are matched in one pass; then no character is parsed more than twice: an error at
    one place condemns all that holds it and acquits all that ended before it.
    """
    found: list[Span] = []
    passed = failed = -1  # where the last good piece ended, and where parsing last failed
    suspect = -1  # where the piece that failed had started
    for start, end in sorted(_bracketed(text)):
        if start < passed or start <= failed < end or end - start < MIN_JSON:
            continue
        if not suspect <= start < end <= failed:
            stop = _parse_end(text, start)
            if stop < 0:
                suspect, failed = start, -stop - 1
                continue
        found.append((start, end))
        passed = end
    return tuple(Mark(start, end, "json") for start, end in found)


def tables(text: str) -> tuple[Mark, ...]:
    """Markdown and boxed tables, and at least MIN_ROWS lines of tab, comma or semicolon columns."""
    if not any(sign in text for sign in "|+\t,;"):
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


def _fences(text: str) -> list[Span]:
    shifted = "\n" + text  # so that a fence that opens the text follows a newline too
    found: list[Span] = []
    opened: re.Match[str] | None = None
    for match in _FENCE.finditer(shifted):
        fence, info = match["fence"], match["info"].strip()
        if opened is None:
            if fence[0] == "~" or "`" not in info:
                opened = match
        elif fence[0] == opened["fence"][0] and len(fence) >= len(opened["fence"]) and not info:
            found.append((opened.start(), match.start("info") - 1))
            opened = None
    return [*found, (opened.start(), len(text))] if opened else found


def _indented(text: str) -> Iterator[Span]:
    """Runs of indented lines after a blank one, of which most look like code."""
    if not re.search(r"(?:\A|\n)(?: {4}|\t)", text):
        return
    run: list[Span] = []
    after_blank = True
    for start, end in _lines(text):
        blank = not text[start:end].strip()
        if _INDENTED.match(text, start, end) and (run or after_blank):
            run.append((start, end))
        elif not blank:
            yield from _clear_code(text, run)
            run = []
        after_blank = blank
    yield from _clear_code(text, run)


def _clear_code(text: str, run: Sequence[Span]) -> Iterator[Span]:
    likely = sum(1 for start, end in run if _CODE_LINE.search(text[start:end]))
    if len(run) >= 2 and likely * 3 >= len(run) * 2:
        yield run[0][0], run[-1][1]


def _bracketed(text: str) -> Iterator[Span]:
    """Spans of matching brackets with well-formed strings between, innermost first."""
    stack: list[tuple[str, int]] = []
    at = 0
    while match := (_TOKEN if stack else _OPENING).search(text, at):
        sign, start = match[0][0], match.start()
        at = match.end() if stack else start + 1
        if sign in "[{" and len(stack) < MAX_DEPTH:
            stack.append((sign, start))
        elif sign in _PAIRS and stack[-1][0] == _PAIRS[sign]:
            yield stack.pop()[1], at
        elif len(match[0]) == 1:  # a wrong bracket, a lone quote or backslash: no JSON around it
            stack.clear()


def _parse_end(text: str, start: int) -> int:
    """Where the JSON value at ``start`` ends; ``-p - 1`` if it breaks at ``p``."""
    try:
        return _DECODER.raw_decode(text, start)[1]
    except json.JSONDecodeError as exc:
        return -exc.pos - 1
    except RecursionError:
        return -len(text) - 1


def _lines(text: str) -> Iterator[Span]:
    start = 0
    while start <= len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield start, end
        start = end + 1


def _rows(lines: Sequence[str], at: int) -> int:
    """How many lines from there on make a table; 0 if they make none."""
    line = lines[at]
    if "|" in line and at + 1 < len(lines) and _DELIMITER_ROW.match(lines[at + 1]):
        return _run(lines, at, lambda line: "|" in line)
    rows = _run(lines, at, _is_boxed) if _is_boxed(line) else 0
    if rows >= MIN_ROWS:
        return rows
    for sign in _SEPARATORS:
        rows = _columned(lines, at, sign) if sign in line else 0
        if rows >= MIN_ROWS:
            return rows
    return 0


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
