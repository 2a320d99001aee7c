"""Long strings in JSON documents: where they stand, what their escapes mean, what rule is theirs.

Documents are given as spans of a text that are known to parse. Everything else in them stays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from proxy.config_policy import JsonRule, Policy
from proxy.json_path import Key
from proxy.messages.code import reads_like_code
from proxy.messages.labels import names_a_question
from proxy.messages.structure import is_json
from proxy.reading import Reading
from proxy.types import Escape, Mark, Span

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{},:]')
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)"
)
_WORDY = re.compile(r"[(\[\"'“‘*_#>-]*[^\W\d_]+(?:['’\-][^\W\d_]+)*[.,;:!?)\]\"'”’*_-]*")
MIN_PROSE = 0.7
"""Share of what stands between spaces that must be words, in prose."""
MAX_WORD = 14
"""Mean letters of a word, at most: identifiers and encoded data have more."""
_PIECE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w{1,8}|[^\w\s]")
"""About what is a token in any encoding. It takes at least one character."""


@dataclass(frozen=True, slots=True)
class JsonString:
    """The inside of a string value, without its quotes; offsets are into the text around it."""

    start: int
    end: int
    reading: Reading = field(repr=False)
    """The inside as it is written, and what that means."""
    rate: float | None
    """That of its rule; ``None`` for that of the text."""
    named: bool
    """Whether a path of the policy leads to it."""
    escapes: tuple[Escape, ...]

    @property
    def mark(self) -> Mark:
        """The inside as a mark."""
        return Mark(self.start, self.end, "json")

    @property
    def value(self) -> str:
        """The inside, decoded."""
        return self.reading.text

    def placed(self, marks: Sequence[Mark]) -> list[Mark]:
        """Marks of the value, where they stand in the text around."""
        spans = self.reading.outer([(mark.start, mark.end) for mark in marks])
        at = self.start
        return [Mark(at + s, at + e, m.reason) for (s, e), m in zip(spans, marks, strict=True)]


def long_strings(
    text: str, documents: Sequence[Span], policy: Policy, *, asks: bool
) -> Iterator[JsonString]:
    """The string values to compress, in order.

    The first of ``json_paths`` that leads to a string decides. Strings that none leads to are
    taken if they are prose of at least ``json_min_tokens`` tokens (about, see ``about_tokens``),
    and not if they are a question by their name in a message that ``asks``. A string that holds
    a JSON document stays whatever the rule.
    """
    shortest = _shortest(policy)
    if shortest is None:
        return
    for start, end in documents:
        if not _has_a_string_of(text, start, end, shortest):
            continue
        for inner, keys in _values(text, start, end, shortest):
            found = _ruled(text, inner, keys, policy, asks)
            if found is not None:
                yield found


def _shortest(policy: Policy) -> int | None:
    """Characters of the shortest string that any rule may take; ``None`` if none takes any."""
    rules = [rule for _, rule in policy.json_rules if rule.compress]
    tokens = [policy.json_min_tokens, *(_least(rule, policy) for rule in rules)]
    given = [number for number in tokens if number is not None]
    return min(given) if given else None


def _least(rule: JsonRule, policy: Policy) -> int:
    """Tokens from which a rule's strings are compressed."""
    return rule.min_tokens if rule.min_tokens is not None else policy.json_min_tokens or 0


def _has_a_string_of(text: str, start: int, end: int, chars: int) -> bool:
    """Whether two quotes are that far apart: nearly all JSON holds short strings only."""
    at = text.find('"', start, end)
    while at >= 0:
        following = text.find('"', at + 1, end)
        if following - at > chars:
            return True
        at = following
    return False


def _values(text: str, start: int, end: int, chars: int) -> Iterator[tuple[Span, list[Key]]]:
    """Insides of the string values of at least so many characters, with the way to each."""
    ways: list[list[Span | int]] = []  # for each open bracket the name's span, or the index
    naming = False
    for match in _TOKEN.finditer(text, start, end):
        sign = match[0][0]
        if sign == '"':
            if naming:
                ways[-1][0] = match.span()
            elif match.end() - match.start() - 2 >= chars:
                keys = [_key(text, way[0]) for way in ways]
                yield (match.start() + 1, match.end() - 1), keys
        elif sign in "{[":
            ways.append([0])
            naming = sign == "{"
        elif sign == ":":
            naming = False
        elif sign == ",":
            way = ways[-1]
            naming = not isinstance(way[0], int)
            if isinstance(way[0], int):
                way[0] += 1
        else:
            ways.pop()
            naming = False


def _key(text: str, way: Span | int) -> Key:
    return way if isinstance(way, int) else str(json.loads(text[way[0] : way[1]]))


def _ruled(
    text: str, inner: Span, keys: list[Key], policy: Policy, asks: bool
) -> JsonString | None:
    """The string with its rule, or nothing if it is to stay."""
    rule = next((rule for path, rule in policy.json_rules if path.matches(keys)), None)
    least = policy.json_min_tokens if rule is None else _least(rule, policy)
    if least is None or (rule is not None and not rule.compress):
        return None
    start, end = inner
    found = tuple(_escapes(text[start:end]))
    reading = Reading.of(text[start:end], found)
    value = reading.text
    if not value or value.isspace() or about_tokens(value) < least or is_json(value):
        return None
    if rule is None and (not is_prose(value) or (asks and _asked(keys))):
        return None
    escapes = tuple(Escape(start + e.start, start + e.end, e.char) for e in found)
    rate = rule.rate if rule else None
    return JsonString(start, end, reading, rate, rule is not None, escapes)


def _asked(keys: list[Key]) -> bool:
    names = [key for key in keys if isinstance(key, str)]
    return bool(names) and names_a_question(names[-1])


def _escapes(inside: str) -> Iterator[Escape]:
    for match in _ESCAPE.finditer(inside):
        yield Escape(*match.span(), str(json.loads(f'"{match[0]}"')))


def about_tokens(value: str) -> int:
    """How many tokens a text has in any encoding, for English within some 25 %.

    What a string is taken for must not depend on the upstream's encoding.
    """
    return sum(1 for _ in _PIECE.finditer(value))


def is_prose(value: str) -> bool:
    """Whether a string is running text: words in lines that do not look like code."""
    pieces = value.split()
    words = [piece for piece in pieces if _WORDY.fullmatch(piece)]
    if len(words) < max(MIN_PROSE * len(pieces), 1):
        return False
    return sum(map(len, words)) <= MAX_WORD * len(words) and not reads_like_code(value)
