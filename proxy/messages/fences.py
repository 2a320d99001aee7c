"""Fences of code that must stay fences, and other runs of such signs that must not become any.

This holds whatever a policy protects: half a fence turns all text below it into code.
"""

from __future__ import annotations

import re

from proxy.messages.code import fenced
from proxy.messages.sentences import trim
from proxy.messages.spans import disjoint
from proxy.types import Mark

_RUN = re.compile(r"`{3,}|~{3,}")
_BEFORE_A_FENCE = " \t>"
_BLANK = re.compile(r"[\s>]")


def fence_lines(text: str) -> tuple[Mark, ...]:
    """The lines that open and close fenced blocks, sorted and free of overlap."""
    found: list[Mark] = []
    for start, end in fenced(text):
        opening = text.find("\n", start, end)
        found.append(Mark(start, opening if opening >= 0 else end, "fence"))
        closing = text.rfind("\n", start, end) + 1
        if opening >= 0 and _RUN.match(text[closing:end].lstrip(_BEFORE_A_FENCE)):
            found.append(Mark(closing, end, "fence"))
    return tuple(found)


def other_runs(text: str) -> tuple[Mark, ...]:
    """Runs of fence signs with what keeps them from being fences, in case they are none.

    Within a line that is what stands before; at its start, say in another block, what follows.
    """
    if "```" not in text and "~~~" not in text:
        return ()
    found: list[Mark] = []
    for match in _RUN.finditer(text):
        start = match.start()
        while start and text[start - 1] != "\n" and _BLANK.match(text[start - 1]):
            start -= 1
        if start and text[start - 1] != "\n":
            found.append(Mark(start - 1, match.end(), "fence"))
        else:
            end = text.find("\n", match.end())
            _, end = trim(text, match.start(), end if end >= 0 else len(text))
            found.append(Mark(match.start(), end, "fence"))
    return disjoint(found)
