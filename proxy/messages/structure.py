"""JSON documents, found without reading the prose around, in time linear in the text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from proxy.messages.lines import lines
from proxy.types import Mark, Span

MIN_JSON = 16
"""Characters below which a bracketed piece of prose is not worth calling JSON: ``[1]``, ``{x}``."""
MAX_DEPTH = 200
"""Nested brackets beyond which nothing is called JSON."""

_TOKEN = re.compile(r'"(?:[^"\\\n]++|\\.)*+"|[\[\]{}"\\]')
_OPENING = re.compile(r'\{\s*+["}]|\[\s*+["\d\[{tfn\]-]')
_PAIRS = {"]": "[", "}": "{"}
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)


def is_json(text: str) -> bool:
    """Whether the whole text is one JSON object or array."""
    stripped = text.strip()
    return stripped[:1] in ("{", "[") and _parse_end(stripped, 0) == len(stripped)


def json_documents(text: str) -> tuple[Mark, ...]:
    """The text itself if it is JSON, its lines if each is (JSON Lines), else the blocks in it."""
    stripped = text.strip()
    if stripped[:1] not in ("{", "["):
        return json_blocks(text)
    start = text.index(stripped[0])
    if is_json(stripped):
        return (Mark(start, start + len(stripped), "json"),)
    return _json_lines(text) or json_blocks(text)


def _json_lines(text: str) -> tuple[Mark, ...]:
    """A mark for each line if all lines that are not blank are JSON objects or arrays."""
    found: list[Mark] = []
    for start, end in lines(text):
        line = text[start:end].strip()
        if line and not is_json(line):
            return ()
        if line:
            at = text.index(line[0], start)
            found.append(Mark(at, at + len(line), "json"))
    return tuple(found)


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
