"""Numbers with all that belongs to them: sign, currency, separators, unit, date, the word around.

A number here has a digit: "three" and "first" are words. Every search starts at a digit and looks
a bounded way back, so that time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from proxy.types import Span

_LOOK_BACK = 40

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_CHAR = rf"[^\W{_CJK}]"  # a letter, digit or underscore of a script that puts spaces between words
_LETTER = rf"[^\W\d{_CJK}]"

_MONTH = (
    "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|"
    "Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_UNIT = (
    r"%|‰|°[CFK]?|[€$£¥₹]|percent|per cent|percentage points?|pp|bps|degrees?|"
    r"thousand|million|billion|trillion|mn|bn|[kK]|M|B|dozen|"
    r"USD|EUR|GBP|JPY|CHF|CNY|INR|dollars?|cents?|euros?|pounds?|yen|"
    r"[kKMGTP]i?[Bb](?:/s|ps)?|bits?|bytes?|tokens?|[kMGT]?Hz|[kMGm]?Wh?|m?Ah?|k?V|dB|"
    r"[nµumkc]?m[²³]?|km/h|mph|mi|miles?|ft|feet|foot|inch(?:es)?|yards?|acres?|ha|"
    r"[mµk]?g|kg|tons?|tonnes?|lbs?|oz|ounces?|[mcd]?[lL]|lit(?:er|re)s?|gallons?|"
    r"[nµm]?s|secs?|seconds?|mins?|minutes?|h|hrs?|hours?|days?|weeks?|months?|years?|"
    r"decades?|centur(?:y|ies)|[ap]\.m\.|[ap]m|AM|PM|UTC|GMT|BCE?|CE|AD|×|times"
)
_NUMBER = re.compile(
    rf"""
    (?: \d{{1,3}}(?:[ \u00a0\u202f]\d{{3}}(?!{_CHAR}))++ | \d{_CHAR}*+ )   # 1 000 000 or 3rd, 4x4
    (?: [.,:'’](?=\d){_CHAR}++                                # 3.5  10,000  12:30
      | [-_/](?:(?=[$€£¥]?{_CHAR})[$€£¥]?{_CHAR}++)           # 2024-05-01  3-year  1/2  $5-$6
      | –[$€£¥]?\d{_CHAR}*+                                   # 1990–1995
      | \.[xX*](?!{_CHAR})                                    # 3.x
    )*+
    (?: [ \u00a0\u202f]?(?:{_UNIT})(?!\w)
      | [年月日时時分秒点點元円圆人个個岁歳週周号號万億亿千百]{{1,3}} )?
    (?: [ ](?:of[ ])?{_MONTH}\b\.?(?:,?[ ]\d{{4}}\b)? )?
    """,
    re.VERBOSE,
)
_GLUED = re.compile(  # read backwards from the first digit
    rf"\.?(?:{_LETTER}{{1,30}}|[-/._’'](?={_LETTER})){{0,6}}[$€£¥₹#№§°]?(?:[A-Z]{{1,3}}(?=\W|$))?"
    r"(?:=?[-+−±~≈<>≤≥](?![\w)\]}]))?"
)
_LEADING = re.compile(rf"(?:\b(?:{_MONTH}\.?|USD|EUR|GBP|JPY|CHF|CNY|INR|Rs\.?|No\.)|[$€£¥₹]) \Z")


def numbers(text: str) -> Iterator[Span]:
    """Spans of the numbers in the text, in order, free of overlap."""
    end = 0
    for match in _NUMBER.finditer(text):
        if match.end() <= end:
            continue
        start = max(end, match.start() - _look_back(text, end, match.start()))
        end = match.end()
        yield start, end


def _look_back(text: str, floor: int, start: int) -> int:
    """How many characters before a digit belong to its number."""
    before = text[max(floor, start - _LOOK_BACK) : start]
    if before.endswith(" "):
        leading = _LEADING.search(before)
        return len(before) - leading.start() if leading else 0
    glued = _GLUED.match(before[::-1])
    return glued.end() if glued else 0
