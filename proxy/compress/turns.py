"""Labels that open a line, such as a speaker's name, and what is said under them.

Time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from proxy.compress.items import Head
from proxy.types import Span

_CAPITAL = r"[^\W\d_a-zß-öø-ÿ]"
_WORD = rf"{_CAPITAL}[\w.'’&/-]{{0,30}}"
_MORE = rf"(?:{_WORD}|[\[(]\w[\w .,'’&/-]{{0,40}}[\])]|\#?\d{{1,4}}|of|de|la|van|von|der|den|and|&)"
_ROLE = r"(?i:user|assistant|system|human|bot|agent|customer|caller|operator|host|guest|ai|q|a)"
_TIME = r"[\[(]?\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,3})?)?[\])]?"
_LABEL = re.compile(
    rf"\n[ \t>]{{0,8}}(?P<label>(?:{_TIME}[ \t]{{1,8}}(?:-[ ])?)?"
    rf"\*{{0,2}}(?:{_WORD}(?:,?[ ]{_MORE}){{0,4}}|{_ROLE}(?:[ ]\d{{1,4}})?)"
    rf"\*{{0,2}}:\*{{0,2}})(?=[ \t]|\r?\n|\Z)"
)
_EMPTY_LINE = re.compile(r"\n[ \t\r]*\n")


def labels(text: str) -> Iterator[Span]:
    """Spans of labels of at most five capitalised words with their colon, and a time before."""
    for match in _LABEL.finditer("\n" + text):
        yield match.start("label") - 1, match.end("label") - 1


def turns(text: str) -> Iterator[Head]:
    """The labels, each over its turn: to the next label, or for the last one to an empty line."""
    spans = list(labels(text))
    if not spans:
        return
    empty = _EMPTY_LINE.search(text, spans[-1][1])
    stops = [*(start for start, _ in spans[1:]), empty.start() if empty else len(text)]
    for (start, end), stop in zip(spans, stops, strict=True):
        yield start, end, stop
