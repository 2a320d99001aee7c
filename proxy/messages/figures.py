"""Numbers with all that belongs to them: sign, currency, separators, unit, date, the word around.

A sign may stand apart: "p < 0.05", "12 - 5", "minus 21". A number here has a digit, or is a
fraction in one character: "three" and "first" are words. Every search starts at a digit and looks
a bounded way back, so that time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from proxy.types import Span

_LOOK_BACK = 40
_UNCONNECTED = frozenset('\n\t\r([{"“,;:|*')
_UNIT_STARTS = frozenset(" \u00a0\u202f%‰°€$£¥₹×")

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
CHAR = rf"[^\W{_CJK}]"
"""A letter, digit or underscore of a script that puts spaces between words: beside an ideograph,
kana or Hangul a word or number ends, with or without a space."""
_LETTER = rf"[^\W\d{_CJK}]"

_MONTHS = frozenset(
    "Jan Feb Mar Apr May Jun Jul Aug Sep Sept Oct Nov Dec January February March April June July "
    "August September October November December".split()
)
_SIGN_WORDS = frozenset({"minus", "plus", "negative"})
_CURRENCIES = frozenset("USD EUR GBP JPY CHF CNY INR Rs No Nr".split())
_UNITS = frozenset(
    "percent degree degrees thousand million billion trillion mn bn k K M B dozen pp bps "
    "USD EUR GBP JPY CHF CNY INR dollar dollars cent cents euro euros pound pounds yen "
    "kB KB MB GB TB PB KiB MiB GiB TiB Kb Mb Gb kbps Mbps Gbps MB/s GB/s bit bits byte bytes token "
    "tokens Hz kHz MHz GHz W kW MW GW Wh kWh MWh A mA Ah mAh V kV dB nm µm um mm cm dm m km m² m³ "
    "km² km/h mph mi mile miles ft feet foot inch inches yard yards acre acres ha mg µg g kg t ton "
    "tons tonne tonnes lb lbs oz ounce ounces ml mL cl dl l L liter liters litre litres gallon "
    "gallons ns µs us ms s sec secs second seconds min mins minute minutes h hr hrs hour hours day "
    "days week weeks month months year years decade decades century centuries a.m p.m am pm AM PM "
    "UTC GMT BC BCE AD CE times °C °F °K ° % ‰ € $ £ ¥ ₹ ×".split()
)
_FRACTION = "[\u00bc-\u00be\u2150-\u215e]"
_NUMBER = re.compile(
    rf"""
    (?:\d|{_FRACTION})
    (?: \d{{0,2}}(?:[ \u00a0\u202f]\d{{3}}(?!{CHAR}))++ | {CHAR}*+ )  # 1 000 000 or 3rd, 4x4
    (?: [.,:'’](?=\d){CHAR}++                                # 3.5  10,000  12:30
      | [-_/](?:(?=[$€£¥]?{CHAR})[$€£¥]?{CHAR}++)           # 2024-05-01  3-year  1/2  $5-$6
      | –[$€£¥]?\d{CHAR}*+                                   # 1990–1995
      | \.[xX*](?!{CHAR})                                    # 3.x
      | (?:\^|\*\*)[({{]?[-+−]?(?=\d){CHAR}++                 # 10^-3
    )*+
    (?: [ ]?{_FRACTION} | [⁺⁻][⁰¹²³⁴-⁹]++ )?                     # 1 ½  10⁻³
    (?: [年月日时時分秒点點元円圆人个個岁歳週周号號万億亿千百]{{1,3}} )?
    """,
    re.VERBOSE,
)
_GLUED = re.compile(  # read backwards from the first digit
    rf"\.?(?:{_LETTER}{{1,30}}|[-/._’'](?={_LETTER})){{0,6}}[$€£¥₹#№§°]?(?:[A-Z]{{1,3}}(?=\W|$))?"
    r"(?:=?[-+−±~≈<>≤≥](?![\w)\]}]))?"
)
_COMPARED = re.compile(  # read backwards from the space before the number: <=, !=, ->, and so on
    r" (?:(?:>[<>=]{0,2}|>-{1,2})(?=[ \t(\[{|])|[<=~≈≠≤≥±∼→^][<>=!~:]{0,2}(?=[\s(\[{|]|$))"
)
_OPERATOR = re.compile(r" [-+−–×x*/÷·] ")
_LEADING = re.compile(r" ?+(?:(\.?[A-Za-z]{2,9})(?=\W|$)|[$€£¥₹](?:[A-Z]{1,3}(?=\W|$))?)")
_UNIT = re.compile(r"[ \u00a0\u202f]?([%‰€$£¥₹×]|°?[A-Za-zµ²³/.]{0,12})(?!\w)")
_DATE = re.compile(r" (?:of )?([A-Z][a-z]{2,8})\.?(?:,? \d{4}\b)?")


def numbers(text: str) -> Iterator[Span]:
    """Spans of the numbers in the text, in order, free of overlap."""
    end = 0
    for match in _NUMBER.finditer(text):
        if match.end() <= end:
            continue
        start = match.start() - _look_back(text, end, match.start())
        end = _look_ahead(text, match.end())
        yield start, end


def _look_back(text: str, floor: int, start: int) -> int:
    """How many characters before a digit belong to its number."""
    if start == floor or text[start - 1] in _UNCONNECTED:
        return 0
    before = text[max(floor, start - _LOOK_BACK) : start]
    back = before[::-1]
    if not back.startswith(" "):
        glued = _GLUED.match(back)
        length = glued.end() if glued else 0
        return length + _sign_apart(back[length:], text[floor - 1 : floor])
    if sign := _sign_apart(back, text[floor - 1 : floor]):
        return sign
    leading = _LEADING.match(back)
    if leading is None:
        return 0
    word = leading[1][::-1].rstrip(".") if leading[1] else ""
    known = not word or word in _MONTHS or word in _CURRENCIES
    return leading.end() if known else 0


def _sign_apart(back: str, number: str) -> int:
    """Characters of the sign that stands apart before a number, with the space after it.

    ``back`` is read backwards, up to the last character of the ``number`` before it, if there is
    one. A sign that opens a line is a mark of a list or of a quotation.
    """
    compared = _COMPARED.match(back)
    if compared:
        return compared.end()
    operator = _OPERATOR.match(back)
    if operator and (back[3:4] in (")", "%", "]") if len(back) > 3 else number):
        return operator.end()
    word = _LEADING.match(back)
    said = word[1][::-1].lower() if word and word[1] else ""
    return word.end() if word and said in _SIGN_WORDS else 0


def _look_ahead(text: str, end: int) -> int:
    """Where the unit or the month after a number ends; ``end`` if there is none."""
    if text[end : end + 1] not in _UNIT_STARTS:
        return end
    unit = _UNIT.match(text, end)
    if unit and unit[1].rstrip(".") in _UNITS:
        return unit.end() - (unit[1].endswith(".") and "." not in unit[1][:-1])
    date = _DATE.match(text, end)
    return date.end() if date and date[1] in _MONTHS else end
