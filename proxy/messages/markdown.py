"""Markdown that is not code or a table: front matter, headings, links, rules.

Every search starts at a line or a bracket and looks a bounded way, so that time is linear in the
text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from proxy.types import Mark, Span

MAX_FRONT_MATTER = 10_000

_FRONT = re.compile(r"(?P<fence>---|\+\+\+)[ \t]*\r?\n(?=[ \t]*[\w\"'.-]{1,60}[ \t]*[:=])")
_HEADING = re.compile(r"\n[ ]{0,3}(?P<mark>\#{1,6}[ \t]+[^\s][^\n]{0,200}+)(?=\n|\Z)")
_UNDERLINED = re.compile(
    r"\n[ \t]{0,8}\r?\n[ ]{0,3}(?P<mark>[^\W_][^\n]{0,120}\n[ ]{0,3}(?:={3,80}|-{3,80}))"
    r"[ \t]*(?=\r?\n|\Z)"
)
_RULE = re.compile(
    r"\n[ ]{0,3}(?P<mark>(?P<sign>[-*_])(?:[ ]{0,2}(?P=sign)){2,60}+)[ \t]*(?=\r?\n|\Z)"
)
_DEFINITION = re.compile(
    r"\n[ ]{0,3}(?P<mark>\[[^\]\n\[]{1,80}\]:(?:[ \t]+<?\S{1,500}[^\n]{0,200})?)"
)
_LINK = re.compile(
    r"\[!\[[^\[\]]{0,120}\]\([^()\s]{1,500}\)\]\([^()\s]{1,500}\)|"  # an image that links
    r"\[[^\[\]]{0,120}\](?:\([^()\s]{1,500}(?:\([^()\s]{0,200}\)[^()\s]{0,200})?"
    r"(?:[ \t]+[\"'][^\"'\n]{0,200}[\"'])?\)|\[[^\[\]\n]{0,80}\])|\[\^[^\[\]\n]{1,80}\]"
)


def front_matter(text: str) -> tuple[Mark, ...]:
    """The settings between ``---`` or ``+++`` lines that open a text."""
    opened = _FRONT.match(text)
    if not opened:
        return ()
    closing = re.compile(rf"\n(?:{re.escape(opened['fence'])}|\.\.\.)[ \t]*(?=\r?(?:\n|\Z))")
    closed = closing.search(text, opened.end(), MAX_FRONT_MATTER)
    return (Mark(0, closed.end(), "front matter"),) if closed else ()


def headings(text: str) -> Iterator[Span]:
    """Spans of headings, with their marks or underlines."""
    for pattern in (_HEADING, _UNDERLINED):
        for match in pattern.finditer("\n\n" + text):
            yield match.start("mark") - 2, match.end("mark") - 2


def links(text: str) -> Iterator[Span]:
    """Spans of links and images whole, in line or by reference, and of footnotes' marks."""
    for match in _LINK.finditer(text):
        start = match.start()
        yield start - (text[start - 1 : start] == "!"), match.end()
    for match in _DEFINITION.finditer("\n" + text):
        footnote = text.startswith("[^", match.start("mark") - 1)
        end = text.index("]:", match.start("mark") - 1) + 2 if footnote else match.end("mark") - 1
        yield match.start("mark") - 1, end


def rules(text: str) -> Iterator[Span]:
    """Spans of lines that are drawn between paragraphs."""
    for match in _RULE.finditer("\n" + text):
        yield match.start("mark") - 1, match.end("mark") - 1
