"""What a policy promises word by word, looked for in the original by plain patterns of their own.

They find no more than ``messages/protect.py`` marks, so that they never object to what a policy
lets go, and share nothing with it, so that its mistakes are seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from proxy.gate.case import Case
from proxy.types import Span

_DIGITS = re.compile(r"\d+")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_W = r"[^\W\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
"""Goes on with a word: beside an ideograph or kana one ends, with or without a space."""
_NEGATIONS = (  # each starts with a literal or a set of letters, for which the engine skips ahead
    re.compile(
        rf"[nN](?<!{_W}[nN])(?i:o(?:t(?:hing)?|ne|r|body|where)?|ever|either)(?!{_W}|['’ʼ]\w)"
    ),
    re.compile(rf"[wW](?<!{_W}[wW])(?i:ithout)(?!{_W})"),
)
_SHORT = re.compile(rf"['’ʼ][tT](?<=[nN].[tT])(?!{_W}|['’ʼ]\w)")  # with the n before it
_TAG = re.compile(r"</?[A-Za-z][\w:.-]{0,40}(?:\s[^<>\"'\n]{0,150})?>")
_BARE_TAG = re.compile(r"</?[A-Za-z][\w:.-]{0,40}>")


def digits_are_kept(case: Case) -> bool:
    """Every digit is there; where numbers are protected, with what joins it to the next one."""
    if "numbers" in case.policy.protect:
        return case.survive(_found(_NUMBER, case.reading.text))
    return not case.policy.force_reserve_digit or case.survive(_found(_DIGITS, case.reading.text))


def negations_are_kept(case: Case) -> bool:
    """Every "no", "not", "never", "don't" and their like is there, where they are protected."""
    if "negations" not in case.policy.protect:
        return True
    whole = all(case.survive(_found(pattern, case.reading.text)) for pattern in _NEGATIONS)
    return whole and case.survive(
        (m.start() - 1, m.end()) for m in _SHORT.finditer(case.reading.text)
    )


def tags_are_kept(case: Case) -> bool:
    """Every tag is there, where tags are protected, and no bare one is new; so they still pair."""
    text = case.reading.text
    if "tags" not in case.policy.protect or "<" not in text:
        return True
    left = "".join([text[s:e] for s, e in case.kept_of_reading.tolist()])
    same = len(_BARE_TAG.findall(left)) == len(_BARE_TAG.findall(text))
    return same and case.survive(_found(_TAG, text))


def _found(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    return (match.span() for match in pattern.finditer(text))
