"""Blocks of a prompt that say what they are: ``Question: ...``, ``## Task``, ``<query>...``.

Every search is bounded by the next label or by MOST_CHARS, so that time is linear in the text.
"""

from __future__ import annotations

import re
from bisect import bisect_left

from proxy.messages.sentences import clip, paragraphs, words_within
from proxy.types import Span

MOST_WORDS = 250
"""A labelled block of more words holds more than a question: only its first sentences count."""
MOST_CHARS = 2000

_NAMES = (
    r"(?:(?:user|my|your|our|the|current|final|main|original|new|follow-?up)[ '’s]{1,3}){0,2}"
    r"(?:question|query|q|task|instructions?|request|prompt|problem|objective|goal)s?"
    r"(?:[ ]?[#(]?\d{1,3}\)?)?|问题|問題|任务|任務|指令|请求|質問|질문"
)
_LABEL = re.compile(
    rf"\n(?P<prefix>[ \t>*_#]{{0,8}})(?i:{_NAMES})[*_]{{0,3}}"
    r"(?:[ \t]{0,3}[:：][*_]{0,3}|(?P<alone>[ \t]{0,8}\#{0,6}(?=\r?\n|\Z)))"
)
_INLINE_LABEL = re.compile(r"(?:User question|Question|Query|Task|Instructions?):[ \t]")
_STOP = re.compile(
    r"\n[ \t>*_]{0,8}(?:\#{1,6}[ \t]|(?i:(?:[a-z]+[ ]){0,2}(?:context|documents?|docs|passages?|"
    r"text|articles?|transcript|background|sources?|references?|data|inputs?|contents?|email|"
    r"results?|answers?|a|responses?|outputs?|summary|examples?|history|conversation|notes)"
    r"(?:[ ]?\#?\d{1,3})?)[*_]{0,3}[ \t]{0,3}[:：])"
)
_INLINE_STOP = re.compile(
    r"\n|(?<=[\s.?!])(?:Answer|Context|Document|Passage|Text|Response|Output|A):(?=\s|\Z)"
)
_LIST_ITEM = re.compile(r"[ \t]*(?:[-*•+]|\(?\d{1,2}[.)])[ \t]")
_TAG = re.compile(
    r"<(?P<close>/?)(?P<name>(?i:question|query|task|instructions?|user_(?:question|query|request)))"
    r"(?:\s[^<>]{0,200})?>"
)


_NAME = re.compile(rf"(?i:{_NAMES})")


def names_a_question(key: str) -> bool:
    """Whether a name in a document, such as ``userQuery`` or ``task_1``, is that of a question."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[_\-]+", " ", key)
    return _NAME.fullmatch(words.strip()) is not None


def labelled(text: str) -> list[Span]:
    """Spans of the blocks under a label that opens a line, or under such a heading.

    A block ends before the next label, heading or block of another kind (``Context:``,
    ``Answer:``), else with its paragraph. A heading's block, and a list, goes on over blank
    lines up to MOST_WORDS.
    """
    shifted = "\n" + text  # so that a label that opens the text follows a newline too
    labels = [m for m in _LABEL.finditer(shifted) if _is_label(m)]
    starts = [label.start() for label in labels[1:]] + [len(shifted)]
    spans = []
    for label, following in zip(labels, starts, strict=False):
        stop = _STOP.search(shifted, label.end(), following)
        limit = stop.start() if stop else following
        heading = "#" in label["prefix"] or label["alone"] is not None
        end = _block_end(shifted, label.start() + 1, label.end(), limit, heading)
        spans.append((label.start(), end - 1))
    return spans


def labelled_inline(text: str) -> list[Span]:
    """Spans of ``Question: ...`` in the middle of a line, to its end or to ``Answer:``."""
    spans: list[Span] = []
    for label in _INLINE_LABEL.finditer(text):
        start = label.start()
        if not start or text[start - 1] not in " \t" or (spans and start < spans[-1][1]):
            continue
        stop = _INLINE_STOP.search(text, label.end(), start + MOST_CHARS)
        limit = stop.start() if stop else min(len(text), start + MOST_CHARS)
        spans.append((start, clip(text, start, limit)))
    return spans


def tagged(text: str) -> list[Span]:
    """Spans from ``<question>`` to ``</question>`` and the like, tags included.

    A tag that is never closed holds its paragraph.
    """
    tags = list(_TAG.finditer(text))
    closings: dict[str, list[int]] = {}
    for tag in tags:
        if tag["close"]:
            closings.setdefault(tag["name"].lower(), []).append(tag.end())
    starts = [tag.start() for tag in tags[1:]] + [len(text)]
    spans: list[Span] = []
    for tag, following in zip(tags, starts, strict=False):
        if tag["close"] or (spans and tag.start() < spans[-1][1]):
            continue
        ends = closings.get(tag["name"].lower(), [])
        at = bisect_left(ends, tag.end())
        if at < len(ends):
            spans.append((tag.start(), ends[at]))
        else:
            spans.append((tag.start(), _block_end(text, tag.start(), tag.end(), following, False)))
    return spans


def _is_label(match: re.Match[str]) -> bool:
    """A name alone on its line is a label only where it is marked as a heading."""
    return match["alone"] is None or any(c in match["prefix"] for c in "#*_")


def _block_end(text: str, start: int, body: int, limit: int, heading: bool) -> int:
    """Where the block that starts with a label ends: whole paragraphs, or a few sentences."""
    cut = min(limit, body + MOST_CHARS)
    end = body
    empty = True
    for first, last in paragraphs(text, body, cut):
        if not empty and not (heading or _LIST_ITEM.match(text, first)):
            break
        if last == cut < limit or words_within(text, start, last, MOST_WORDS) > MOST_WORDS:
            return clip(text, start, last) if empty else end
        end, empty = last, False
    return end
