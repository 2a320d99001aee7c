"""Short spans of running text that always stay, by class: the policy names the classes.

The rules are for English, and for what looks the same in every language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType

from proxy.messages.addresses import addresses
from proxy.messages.figures import CHAR, numbers
from proxy.messages.mail import mail_lines
from proxy.messages.markdown import headings, links, rules
from proxy.messages.markup import titles
from proxy.messages.spans import disjoint
from proxy.types import Mark, Span

MAX_QUOTE = 160
"""Characters of the longest quotation kept word for word; a longer one is a passage to compress."""
MAX_SINGLE_QUOTE = 80
MAX_INLINE_CODE = 300

_NEGATIONS = frozenset(
    "no not none nor never neither nothing nobody nowhere cannot without unless except excepting "
    "hardly barely scarcely seldom rarely don't doesn't didn't isn't aren't wasn't weren't won't "
    "wouldn't can't couldn't shouldn't haven't hasn't hadn't mustn't mightn't needn't oughtn't "
    "shan't daren't ain't dont doesnt didnt isnt arent wasnt werent wont wouldnt cant couldnt "
    "shouldnt havent hasnt hadnt mustnt aint n't".split()
)
"""Words that turn a statement round, with their short forms, also without the apostrophe, and
``n't`` alone, as tokenised corpora write it.

Left out: "few", "little", "lack", "fail", "refuse" (content words, which the classifier weighs),
"instead", "rather", "but", "only" (they do not negate), prefixes ("un-", "non-": parts of words).
"""
_NEGATION_ENDS = (  # each of the words ends in a match of one of these, which are quick to find
    re.compile(
        r"[nN](?:(?i:o(?:t(?:hing)?|ne|r|body|where)?|ever|either|less)|['’ʼ]?[tT])"
        rf"(?!{CHAR}|['’ʼ](?!(?i:ve|d|ll|re)(?!\w))\w)"  # but wouldn't've, never'd
    ),
    re.compile(r"[nN](?i:obody|othing)(?=['’ʼ][sS](?!\w))"),
    *(re.compile(rf"{end}(?!{CHAR})") for end in ("ithout", "xcept", "xcepting", "ardly")),
    *(re.compile(rf"{end}(?!{CHAR})") for end in ("arely", "carcely", "eldom")),
    *(re.compile(rf"{end}(?!{CHAR})") for end in ("ITHOUT", "XCEPT")),
)
_STRAIGHT = str.maketrans("’ʼ", "''")
_LONGEST_START = 8
_STARTS = re.compile(CHAR).match
_QUOTE = re.compile(  # each branch starts with a literal, for which the engine skips ahead
    rf"""
      "(?<![\w"]")(?=[^\s"])(?:[^"\n]|\n(?!\s)){{1,{MAX_QUOTE}}}+(?<!\s)"(?!\w)
    | “(?:[^“”\n]|\n(?!\s)){{1,{MAX_QUOTE}}}+” | „(?:[^„“”\n]|\n(?!\s)){{1,{MAX_QUOTE}}}+[“”]
    | «(?:[^«»\n]|\n(?!\s)){{1,{MAX_QUOTE}}}+» | 「[^「」\n]{{1,{MAX_QUOTE}}}+」
    | 『[^『』\n]{{1,{MAX_QUOTE}}}+』
    | '(?<![\w'’]')(?=[^\W_]|[<$./-])(?:[^'\n]|(?<=\w)'(?=\w)){{1,{MAX_SINGLE_QUOTE}}}+
      (?<!\s)'(?!\w)
    | ‘(?<![\w‘’]‘)(?=\S)(?:[^‘’\n]|(?<=\w)’(?=\w)){{1,{MAX_SINGLE_QUOTE}}}+(?<!\s)’(?!\w)
    """,
    re.VERBOSE,
)
MAX_FORMULA = 400
"""Characters of the longest formula between signs of its own."""
_FORMULA = re.compile(
    rf"""
      \$\$(?:[^$\n]|\n(?!\s*\n)){{1,{MAX_FORMULA}}}?\$\$
    | \\\[(?:[^\\\n]|\\[^\[\]]|\n(?!\s*\n)){{1,{MAX_FORMULA}}}+\\\]
    | \\\((?:[^\\\n]|\\[^()]|\n(?!\s*\n)){{1,{MAX_FORMULA}}}+\\\)
    | \\begin\{{(?P<name>[a-z]{{1,20}}\*?)\}}(?:[^\n]|\n(?!\s*\n)){{1,{MAX_FORMULA}}}?
      \\end\{{(?P=name)\}}
    | \$(?=[^\s\d$]|\d[^$\n]*[\\^_])(?=[A-Za-z]\$|[^$\n]*[\\^_{{}}=<>])
      (?:[^$\n\\]|\\[^\n]){{1,120}}(?<!\s)\$(?!\w)
    """,
    re.VERBOSE,
)
_BACKTICKS = re.compile(r"`+")


def negations(text: str) -> Iterator[Span]:
    """Spans of the negating words, pattern by pattern."""
    for pattern in _NEGATION_ENDS:
        for match in pattern.finditer(text):
            start = match.start()
            longest = max(0, start - _LONGEST_START)
            while start > longest and _STARTS(text, start - 1, start) and text[start - 1].isalpha():
                start -= 1
            word = text[start : match.end()].lower().translate(_STRAIGHT)
            if word in _NEGATIONS or word.endswith("n't"):  # mayn't, y'all'ren't
                yield start, match.end()


def inline_code(text: str) -> Iterator[Span]:
    """Spans between two equal runs of backticks in one paragraph (CommonMark 6.1), with them."""
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
        near = end - start <= MAX_INLINE_CODE and "\n\n" not in text[start:end]
        if near:
            yield start, end
        i = partner[i] + 1 if near else i + 1


def formulas(text: str) -> Iterator[Span]:
    """Spans of formulas as TeX and Markdown write them, with their signs; of prices none."""
    if "$" not in text and "\\" not in text:
        return iter(())
    return (match.span() for match in _FORMULA.finditer(text))


def quotes(text: str) -> Iterator[Span]:
    """Spans of short quotations, with their quotation marks."""
    return (match.span() for match in _QUOTE.finditer(text))


CLASSES: Mapping[str, Mapping[str, Callable[[str], Iterator[Span]]]] = MappingProxyType(
    {
        "code": {"code": inline_code, "formula": formulas},
        "mail": {"mail line": mail_lines},
        "markdown": {
            "heading": headings,
            "link": links,
            "rule": rules,
        },
        "tags": {"heading": titles},
        "urls": {"url": addresses},
        "numbers": {"number": numbers},
        "negations": {"negation": negations},
        "quotes": {"quote": quotes},
    }
)
"""By the policy's name of a class: the reasons its marks carry, and what finds them."""


def protected(text: str, classes: Collection[str]) -> tuple[Mark, ...]:
    """Marks of the named classes, sorted and free of overlap. Unknown names are not of inline."""
    return disjoint(
        Mark(start, end, reason)
        for name in CLASSES
        if name in classes
        for reason, find in CLASSES[name].items()
        for start, end in find(text)
    )
