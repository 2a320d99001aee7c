"""Short spans of running text that always stay, by class: the policy names the classes.

The rules are for English, and for what looks the same in every language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType

from proxy.messages.addresses import addresses
from proxy.messages.figures import numbers
from proxy.messages.spans import disjoint
from proxy.types import Mark, Span

MAX_QUOTE = 160
"""Characters of the longest quotation kept word for word; a longer one is a passage to compress."""
MAX_SINGLE_QUOTE = 80
MAX_INLINE_CODE = 300

_NEGATION = re.compile(
    r"""\b(?:
      [Nn](?:o(?:t(?:hing)?|ne|body|where|r)?|e(?:ver|ither))
    | N(?:O(?:T(?:HING)?|NE|BODY|WHERE|R)?|E(?:VER|ITHER))
    | [Cc]annot | CANNOT | [Ww]ithout | WITHOUT | [Uu]nless | UNLESS | [Ee]xcept(?:ing)? | EXCEPT
    | [Hh]ardly | [Bb]arely | [Ss](?:carcely|eldom) | [Rr]arely
    | (?:[Dd](?:o|oes|id|are) | [Ii]s | [Aa](?:re|i) | [Ww](?:as|ere|o|ould) | [Cc](?:a|ould)
        | [Hh](?:as|ave|ad) | [Ss](?:hould|ha) | [Mm](?:ust|ight|ay) | [Nn]eed | [Oo]ught)n['’ʼ]?t
    | [A-Z]{2,6}['’ʼ]T
    )\b""",
    re.VERBOSE,
)
"""Words that turn a statement round, with their short forms, also where the apostrophe is missing.

Left out: "few", "little", "lack", "fail", "refuse" (a content word, which the classifier weighs),
"instead", "rather", "but", "only" (they do not negate), prefixes ("un-", "non-": parts of words).
"""
_QUOTE = re.compile(
    rf"""
      (?<![\w"])"(?=[^\s"])(?:[^"\n]|\n(?!\s)){{1,{MAX_QUOTE}}}+(?<!\s)"(?!\w)
    | “(?:[^“”\n]|\n(?!\s)){{1,{MAX_QUOTE}}}+” | „(?:[^„“”\n]|\n(?!\s)){{1,{MAX_QUOTE}}}+[“”]
    | «(?:[^«»\n]|\n(?!\s)){{1,{MAX_QUOTE}}}+» | 「[^「」\n]{{1,{MAX_QUOTE}}}+」
    | 『[^『』\n]{{1,{MAX_QUOTE}}}+』
    | (?<![\w'’])'(?=[^\W_]|[<$./-])(?:[^'\n]|(?<=\w)'(?=\w)){{1,{MAX_SINGLE_QUOTE}}}+(?<!\s)'(?!\w)
    | (?<![\w‘’])‘(?=\S)(?:[^‘’\n]|(?<=\w)’(?=\w)){{1,{MAX_SINGLE_QUOTE}}}+(?<!\s)’(?!\w)
    """,
    re.VERBOSE,
)
_TAG = re.compile(
    r"</?[A-Za-z][\w:.-]{0,60}+(?:\s(?:\"[^\"<]{0,300}+\"|'[^'<]{0,300}+'|[^<>\"']){0,200}+)?/?>"
    r"|<!--|-->|<!DOCTYPE[^<>]{0,200}>|<\?xml[^<>]{0,200}>|<!\[CDATA\[|\]\]>"
)
_BACKTICKS = re.compile(r"`+")


def inline_code(text: str) -> Iterator[Span]:
    """Spans between two equal runs of backticks (CommonMark 6.1) on one line, ticks included."""
    runs = [match.span() for match in _BACKTICKS.finditer(text)]
    partner: dict[int, int] = {}
    nearest: dict[int, int] = {}
    for i in reversed(range(len(runs))):
        length = runs[i][1] - runs[i][0]
        if length in nearest:
            partner[i] = nearest[length]
        nearest[length] = i
    i = 0
    while i < len(runs):
        end = runs[partner[i]][1] if i in partner else len(text) + MAX_INLINE_CODE
        start = runs[i][0]
        near = end - start <= MAX_INLINE_CODE and "\n" not in text[start:end]
        if near:
            yield start, end
        i = partner[i] + 1 if near else i + 1


def _found(pattern: re.Pattern[str]) -> Callable[[str], Iterator[Span]]:
    return lambda text: (match.span() for match in pattern.finditer(text))


CLASSES: Mapping[str, tuple[str, Callable[[str], Iterator[Span]]]] = MappingProxyType(
    {
        "code": ("code", inline_code),
        "urls": ("url", addresses),
        "numbers": ("number", numbers),
        "negations": ("negation", _found(_NEGATION)),
        "quotes": ("quote", _found(_QUOTE)),
        "tags": ("tag", _found(_TAG)),
    }
)
"""By the policy's name of a class: the reason its marks carry, and what finds them."""


def protected(text: str, classes: Collection[str]) -> tuple[Mark, ...]:
    """Marks of the named classes, sorted and free of overlap. Unknown names are not of inline."""
    return disjoint(
        Mark(start, end, reason)
        for name, (reason, find) in CLASSES.items()
        if name in classes
        for start, end in find(text)
    )
