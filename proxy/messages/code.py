"""Code that stands in blocks of its own: between fences or tags, or indented.

Time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from proxy.messages.diffs import diffs
from proxy.messages.lines import lines
from proxy.messages.markup import verbatim_elements
from proxy.messages.spans import disjoint
from proxy.types import Mark, Span

LONGEST_LINE = 200
"""Characters above which a line is a paragraph, whatever signs are in it."""

_FENCE = re.compile(r"\n(?P<indent>[ \t>]{0,16})(?P<fence>`{3,}|~{3,})(?P<info>[^\n]*)")
_CODE_LINE = re.compile(
    r"[;{}]\s*$|^\s*(?:def|class|import|return|public|private|static|const|let|var|function|func|"
    r"fn|package|SELECT|INSERT|UPDATE|CREATE|sudo|pip|npm|git|curl|"
    r"export|docker|kubectl|make|cargo|python3?|node|ssh)\s+\S|^\s*\.?/\w|\s--\w|"
    r"^\s*(?:#include|#!|\$ |>>>|//|/\*|@\w)|"
    r"^\s*(?:if|for|while|else|elif|try|except|with|switch|case)\b.*[:{(]\s*$|"
    r"\w\s*(?:[-+*|]?=|:=|==|->|=>)\s*\S|[\w\])]\([^()]*\)\s*[:;{]?\s*$|^\s*[)\]}]"
)
_INDENTED = re.compile(r"(?: {4}|\t)[^\n]*\S")


def code_blocks(text: str) -> tuple[Mark, ...]:
    """Fenced blocks (CommonMark 4.5, an open one has no end), ``<pre>``, clear indented ones."""
    spans = [*fenced(text), *_indented(text), *verbatim_elements(text)]
    return disjoint(Mark(start, end, "code") for start, end in spans)


def reads_like_code(text: str) -> bool:
    """Whether a quarter or more of the lines with something on them look like code."""
    filled = [line for line in text.split("\n") if line.strip()]
    likely = sum(1 for line in filled if len(line) <= LONGEST_LINE and _CODE_LINE.search(line))
    return likely * 4 >= max(len(filled), 1)


def fenced(text: str) -> list[Span]:
    """Spans of the blocks between fences, with them; an open one runs to the end."""
    shifted = "\n" + text  # so that a fence that opens the text follows a newline too
    found: list[Span] = []
    opened: re.Match[str] | None = None
    for match in _outside(diffs(text), _FENCE.finditer(shifted)):
        fence, info = match["fence"], match["info"].strip()
        if opened is None:
            if fence[0] == "~" or "`" not in info:
                opened = match
        elif fence[0] == opened["fence"][0] and len(fence) >= len(opened["fence"]) and not info:
            found.append((opened.start(), match.start("info") - 1))
            opened = None
    return [*found, (opened.start(), len(text))] if opened else found


def _outside(blocks: Sequence[Mark], found: Iterator[re.Match[str]]) -> Iterator[re.Match[str]]:
    """The matches that do not lie in a block: a fence in a diff is a line of another file."""
    at = 0
    for match in found:
        while at < len(blocks) and blocks[at].end <= match.start():
            at += 1
        if at == len(blocks) or match.start() < blocks[at].start:
            yield match


def _indented(text: str) -> Iterator[Span]:
    """Runs of indented lines after a blank one, of which most look like code."""
    if not re.search(r"(?:\A|\n)(?: {4}|\t)", text):
        return
    run: list[Span] = []
    after_blank = True
    for start, end in lines(text):
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
