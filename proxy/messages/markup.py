"""HTML and XML: tags with their attributes, and elements whose text is no prose.

No search goes on past the next ``<``, so that time is linear in the text.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

from proxy.types import Mark, Span

_TAG = re.compile(
    r"</?[A-Za-z][\w:.-]{0,60}+(?:\s(?:\"[^\"<]*+\"|'[^'<]*+'|[^<>\"']++)*+)?/?>"
    r"|<!--|-->|<!(?i:DOCTYPE|ENTITY|ELEMENT|ATTLIST)\b[^<>]*+>|<\?[A-Za-z][^<>]*+(?<=\?)>|<!\[CDATA\[|\]\]>"
    r"|<(?:https?://|mailto:)[^<>\s]++>"
)
_VERBATIM = re.compile(
    r"<(?P<close>/?)(?P<name>(?i:pre|code|script|style|textarea|svg|math|kbd|samp|template))"
    r"(?:\s(?:\"[^\"<]*+\"|'[^'<]*+'|[^<>\"']++)*+)?>"
)


_HEADING = re.compile(
    r"<(?P<name>(?i:h[1-6]|title))(?:\s[^<>]{0,200})?>(?P<words>[^<>]{1,200})</(?i:(?P=name))\s*>"
)


def titles(text: str) -> Iterator[Span]:
    """Spans of the words in ``<h1>`` to ``<h6>`` and ``<title>``."""
    return (match.span("words") for match in _HEADING.finditer(text))


def tags(text: str) -> tuple[Mark, ...]:
    """Tags, the marks of comments and CDATA, declarations; what stands between them is text."""
    if "<" not in text:
        return ()
    return tuple(Mark(match.start(), match.end(), "tag") for match in _TAG.finditer(text))


def verbatim_elements(text: str) -> Iterator[Span]:
    """Spans of ``<pre>``, ``<code>``, ``<script>``, ``<style>`` and the like, tags included.

    Of an element that is never closed, nothing is.
    """
    found = list(_VERBATIM.finditer(text)) if "</" in text else []
    closings: dict[str, list[int]] = {}
    for tag in found:
        if tag["close"]:
            closings.setdefault(tag["name"].lower(), []).append(tag.end())
    past = 0
    for tag in found:
        if tag["close"] or tag.start() < past:
            continue
        ends = closings.get(tag["name"].lower(), [])
        at = bisect_left(ends, tag.end())
        if at < len(ends):
            past = ends[at]
            yield tag.start(), past
