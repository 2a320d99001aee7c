"""Diffs: unified ones, as git and svn write them, and the patches that agents write.

Found by their headers and hunks, then read line by line, so that time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from proxy.types import Mark

_SEED = re.compile(r"(?:\A|\n)(?:@@|diff -|\*\*\* Begin Patch)")
_HUNK = re.compile(
    r"@@ -\d{1,9}(?:,(\d{1,9}))? \+\d{1,9}(?:,(\d{1,9}))? @@|@@@+ -\d[^@\n]{1,80} @@@+"
)
_HEADER = re.compile(
    r"diff -|index [\da-f]{4,64}[.,][\da-f.,]|--- \S|\+\+\+ \S|={60,}$|Index: \S|"
    r"(?:old|new|deleted file|new file) mode \d|(?:dis)?similarity index \d|"
    r"(?:rename|copy) (?:from|to) |Binary files |GIT binary patch|Only in \S"
)
_PATCH = re.compile(r"\*\*\* (?:Begin Patch|(?:Update|Add|Delete) File: |Move to: |End of File)|@@")


_MANY = 1_000_000


def diffs(text: str) -> tuple[Mark, ...]:
    """Marks of the diffs, each with its headers and all its hunks."""
    if not _SEED.search(text):
        return ()
    lines = text.split("\n")
    found: list[Mark] = []
    at = offset = 0
    while at < len(lines):
        size = _patch(lines, at) or _unified(lines, at)
        chars = sum(map(len, lines[at : at + max(size, 1)])) + max(size, 1)
        if size:
            found.append(Mark(offset, offset + chars - 1, "diff"))
        at += max(size, 1)
        offset += chars
    return tuple(found)


def _unified(lines: Sequence[str], at: int) -> int:
    """How many lines from there on are a diff; 0 if none: a header alone is prose."""
    start, end, good = at, at, False
    while at < len(lines):
        hunk = _HUNK.match(lines[at])
        if hunk:
            at = end = _hunk_end(lines, at, hunk)
            good = True
        elif _HEADER.match(lines[at]):
            at += 1
            if lines[at - 1].startswith(("diff -", "Binary", "rename to")):
                end, good = at, good or lines[at - 1].startswith("diff --git ")
        elif end > start and not lines[at].strip() and at + 1 < len(lines) and at == end:
            at += 1  # an empty line between two files
        else:
            break
    return end - start if good else 0


def _hunk_end(lines: Sequence[str], at: int, hunk: re.Match[str]) -> int:
    """The line after a hunk: by its own counts, then as long as lines are added or removed."""
    merge = hunk[0].startswith("@@@")  # has more counts than two: goes on as long as it can
    old, new = (_MANY, _MANY) if merge else (int(count or 1) for count in hunk.groups())
    at += 1
    last = at
    while at < len(lines):
        sign = lines[at][:1]
        if sign in "+-\\" and sign:
            if _HEADER.match(lines[at]) and old <= 0 and new <= 0:
                break
            last = at + 1
        elif sign in (" ", "\r", "") and (old > 0 or new > 0):
            last = at + 1 if sign == " " else last
        else:
            break
        old -= sign not in ("+", "\\")
        new -= sign not in ("-", "\\")
        at += 1
    return last


def _patch(lines: Sequence[str], at: int) -> int:
    """How many lines are a patch from ``*** Begin Patch`` on; 0 if none."""
    if not lines[at].startswith("*** Begin Patch"):
        return 0
    start, last = at, at + 1
    while at < len(lines):
        line = lines[at]
        if line.startswith("*** End Patch"):
            return at + 1 - start
        if not (line[:1] in ("", " ", "+", "-", "\r") or _PATCH.match(line)):
            break
        at += 1
        last = at if line.strip() else last
    return last - start
