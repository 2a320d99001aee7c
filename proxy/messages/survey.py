"""What must survive in a text, and which parts of it have a rate of their own.

All offsets are into the text that is surveyed: one without the tags that are obeyed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from proxy.config_policy import Policy
from proxy.messages.blocks import blocks
from proxy.messages.fences import fence_lines, other_runs
from proxy.messages.json_strings import JsonString, long_strings
from proxy.messages.loose_code import loose_code
from proxy.messages.protect import protected
from proxy.messages.question import question_marks
from proxy.messages.sentences import trim
from proxy.messages.spans import disjoint, layered, without
from proxy.messages.structure import json_documents
from proxy.types import Escape, Mark, Region, Span

ASKING_ROLES = frozenset({"user", "system", "developer"})
"""Roles whose messages ask for something; results of tools and answers of the model do not."""

_WORD = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class Tagged:
    """What the obeyed tags of a text say."""

    kept: tuple[Mark, ...] = ()
    regions: tuple[Region, ...] = ()

    @property
    def spans(self) -> tuple[Mark, ...]:
        """The regions as marks."""
        return tuple(Mark(region.start, region.end, "tag") for region in self.regions)


@dataclass(frozen=True, slots=True)
class Survey:
    """What ``Passage`` has of the same names. A ``reason`` says why all of the text stays."""

    intact: tuple[Mark, ...] = ()
    forced: tuple[Mark, ...] = ()
    reason: str = ""
    regions: tuple[Region, ...] = ()
    escapes: tuple[Escape, ...] = ()
    documents: tuple[Span, ...] = ()


NO_TAGS = Tagged()


def survey(text: str, role: str, policy: Policy, tagged: Tagged = NO_TAGS) -> Survey:
    """Looks through a text for each class of what the policy protects.

    In a text that the policy leaves alone as a whole, tags may still name spans to compress.
    Nothing in such spans is taken for a question.
    """
    alone = _left_alone(text, role, policy)
    if alone and (alone == "empty" or not tagged.regions):
        return Survey(reason=alone)
    ruled = tagged.kept
    if alone:
        ruled = disjoint([*ruled, *without([Mark(0, len(text), alone)], tagged.spans)])
    ground = _Ground.of(text, role, policy, ruled)
    intact = disjoint([*ruled, *ground.intact(tagged)])
    strings = ground.strings
    reason = ("" if strings else _covered(text, ground.blocks)) or _covered(text, intact)
    if reason:
        return Survey(reason=reason)
    return Survey(
        intact,
        without(ground.forced(), intact),
        "",
        layered(tagged.regions, [Region(s.start, s.end, s.rate) for s in strings]),
        tuple(escape for string in strings for escape in string.escapes),
        ground.documents if strings else (),
    )


def _left_alone(text: str, role: str, policy: Policy) -> str:
    """Why nothing of this text may be touched, or nothing to say."""
    if role not in policy.roles:
        return "role"
    if not text or text.isspace():
        return "empty"
    return "question" if role == "user" and policy.question == "all" else ""


@dataclass(frozen=True, slots=True)
class _Ground:
    """A text with the blocks in it, and the strings of its JSON that are to be compressed."""

    text: str
    policy: Policy
    asks: bool
    """Whether something in it may be a question."""
    blocks: tuple[Mark, ...]
    documents: tuple[Span, ...]
    """JSON documents among the blocks."""
    all_json: bool
    """Whether there is no word outside of the documents."""
    strings: tuple[JsonString, ...]

    @classmethod
    def of(cls, text: str, role: str, policy: Policy, ruled: Sequence[Mark]) -> _Ground:
        """``ruled``: what stays whatever is found; no string there is compressed."""
        asks = role in ASKING_ROLES and policy.question != "none"
        whole = json = json_documents(text) if "json" in policy.protect else ()
        all_json = bool(_covered(text, json))
        if not all_json:
            others = [name for name in policy.protect if name != "json"]
            lines = () if "code" in policy.protect else fence_lines(text)
            loose = _code(text, json) if "code" in policy.protect else ()
            whole = disjoint([*json, *blocks(text, others), *loose, *lines])
        uncut = set(whole)
        documents = tuple((mark.start, mark.end) for mark in json if mark in uncut)
        strings = tuple(long_strings(text, documents, policy, asks=asks))
        free = set(without([string.mark for string in strings], ruled))
        strings = tuple(string for string in strings if string.mark in free)
        return cls(text, policy, asks, whole, documents, all_json, strings)

    def intact(self, tagged: Tagged) -> list[Mark]:
        """The blocks but for the insides of the strings, blocks in these, and what is asked."""
        insides = [string.mark for string in self.strings]
        outside = (Mark(0, len(self.text), "json"),) if self.all_json and insides else self.blocks
        found = [*without(outside, insides)]
        for string in self.strings:
            asks = self.asks and not string.named
            found += string.placed(_blocks_and_question(string.value, self.policy, asks))
        if self.asks and not self.all_json:
            claimed = disjoint([*self.blocks, *tagged.spans])
            found += without(question_marks(self.text), claimed)
        return found

    def forced(self) -> tuple[Mark, ...]:
        """Short spans that stay, in the strings and between the documents."""
        classes = self.policy.protect
        found = [m for s in self.strings for m in s.placed(_short_spans(s.value, classes))]
        if not self.all_json:
            insides = [string.mark for string in self.strings]
            spans = disjoint([*_short_spans(self.text, classes), *other_runs(self.text)])
            found += without(spans, insides)
        return disjoint(found)


def _code(text: str, json: Sequence[Mark]) -> tuple[Mark, ...]:
    """Code without any mark around it; JSON that has its lines to itself has rules of its own."""
    found = [Mark(start, end, "code") for start, end in loose_code(text)]
    if not found:
        return ()
    alone = [m for m in json if not text[text.rfind("\n", 0, m.start) + 1 : m.start].strip()]
    return without(found, alone)


def _short_spans(text: str, classes: Collection[str]) -> tuple[Mark, ...]:
    """The protected spans without white space at their ends, which is no part of any word."""
    marks = protected(text, classes)
    spans = ((*trim(text, mark.start, mark.end), mark.reason) for mark in marks)
    return tuple(Mark(start, end, reason) for start, end, reason in spans if start < end)


def _blocks_and_question(value: str, policy: Policy, asks: bool) -> tuple[Mark, ...]:
    whole = blocks(value, policy.protect)
    return disjoint([*whole, *without(question_marks(value), whole)]) if asks else whole


def _covered(text: str, intact: Sequence[Mark]) -> str:
    """The reason that most of the text has, if no word is left outside the marks; else ""."""
    at = 0
    sizes: Counter[str] = Counter()
    for mark in intact:
        if _WORD.search(text, at, mark.start):
            return ""
        sizes[mark.reason] += mark.end - mark.start
        at = mark.end
    if not sizes or _WORD.search(text, at):
        return ""
    return sizes.most_common(1)[0][0]
