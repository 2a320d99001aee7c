"""Tags by which an author says what becomes of a span: ``<llmlingua rate=0.3>``, ``<keep>``.

The tags are those of the package llmlingua (``<llmlingua, rate=0.5, compress=False>``), which
allows commas between and before attributes, and one of our own. Knows nothing of roles and
policies: who is obeyed is the caller's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from proxy.types import Mark, Region

MOST_CHARS = 200
"""Characters of the longest list of attributes."""

_TAG = re.compile(
    rf"<(?P<close>/?)(?P<name>(?i:llmlingua|keep))(?P<rest>(?:[\s,][^<>]{{0,{MOST_CHARS}}})?)>"
)
_ATTRIBUTE = re.compile(r"""[\s,]*([A-Za-z]+)\s*=\s*("[^"]*"|'[^']*'|[^\s,"']+)(?=[\s,]|\Z)""")
_NOTHING = re.compile(r"[\s,]*")
_TRUTHS = ("true", "false")


@dataclass(frozen=True, slots=True)
class Tags:
    """What the tags of a text say. All are sorted, and free of overlap with their like."""

    dropped: tuple[Mark, ...] = ()
    """The tags themselves, as far as they are sound and paired; others are text."""
    kept: tuple[Mark, ...] = ()
    """What stays as it is, between tags."""
    regions: tuple[Region, ...] = ()
    """What is compressed at a rate of its own, or at the text's where the tag names none."""


@dataclass(frozen=True, slots=True)
class _Tag:
    start: int
    end: int
    name: str
    closes: bool
    sound: bool = True
    """Whether all of it is understood."""
    kept: bool = False
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class _State:
    """What holds between two tags."""

    region: int | None = None
    """The innermost span to compress, by the place of its tag."""
    rate: float | None = None
    kept: bool = False

    def within(self, tag: _Tag) -> _State:
        """What holds inside of the tag; what is kept has nothing in it that is not."""
        if self.kept or tag.kept:
            return _State(self.region, self.rate, True)
        return _State(tag.start, self.rate if tag.rate is None else tag.rate)


def read_tags(text: str) -> Tags:
    """The tags of a text that come in pairs, and what they say of what is between them.

    The innermost pair says it, but nothing inside ``<keep>`` is compressed. A tag with unknown
    attributes or a rate out of range, one that is never closed or was never opened, and one that
    closes outside of what it was opened in, are text like any other. Time is linear in the text.
    """
    tags = _paired([_tag(match) for match in _TAG.finditer(text)])
    if not tags:
        return Tags()
    kept: list[Mark] = []
    regions: list[Region] = []
    last: int | None = None
    for start, end, state in _between(tags):
        if state.kept:
            kept.append(Mark(start, end, "keep"))
        if state.region is not None:
            if state.region == last:
                start = regions.pop().start
            regions.append(Region(start, end, state.rate))
        last = state.region
    dropped = tuple(Mark(tag.start, tag.end, "tag") for tag in tags)
    return Tags(dropped, tuple(kept), tuple(regions))


def _tag(match: re.Match[str]) -> _Tag:
    start, end = match.span()
    name, rest = match["name"].lower(), match["rest"]
    if match["close"] or name == "keep":
        closes = bool(match["close"])
        return _Tag(start, end, name, closes, not rest.strip(), kept=not closes)
    attributes = _attributes(rest)
    if attributes is None or attributes.keys() - {"rate", "compress"}:
        return _Tag(start, end, name, False, sound=False)
    rate, truth = _rate(attributes.get("rate")), attributes.get("compress", "true").lower()
    sound = rate != 0 and truth in _TRUTHS
    return _Tag(start, end, name, False, sound, kept=truth == "false", rate=rate)


def _attributes(rest: str) -> dict[str, str] | None:
    found: dict[str, str] = {}
    at = 0
    while match := _ATTRIBUTE.match(rest, at):
        name = match[1].lower()
        if name in found:
            return None
        found[name] = match[2].strip("\"'")
        at = match.end()
    return found if _NOTHING.fullmatch(rest, at) else None


def _rate(value: str | None) -> float | None:
    """The rate; ``None`` if there is none, 0 if it is no share over 0 and at most 1."""
    if value is None:
        return None
    rate = float(value) if re.fullmatch(r"\d{0,3}\.?\d{1,20}|\d{1,3}\.", value, re.ASCII) else 0.0
    return rate if rate <= 1 else 0.0


def _paired(tags: list[_Tag]) -> list[_Tag]:
    """The sound tags with a sound partner, in order: a closing one goes with the nearest open."""
    opened: list[_Tag] = []
    waiting = dict.fromkeys(("llmlingua", "keep"), 0)
    pairs: list[_Tag] = []
    for tag in tags:
        if not tag.closes:
            opened.append(tag)
            waiting[tag.name] += 1
            continue
        while waiting[tag.name]:
            partner = opened.pop()
            waiting[partner.name] -= 1
            if partner.name == tag.name:
                pairs += [partner, tag] if partner.sound and tag.sound else []
                break
    return sorted(pairs, key=lambda tag: tag.start)


def _between(tags: list[_Tag]) -> Iterator[tuple[int, int, _State]]:
    """What stands between two tags in a row and is inside of one, with what holds there."""
    states = [_State()]
    for tag, following in zip(tags, [*tags[1:], None], strict=True):
        if tag.closes:
            states.pop()
        else:
            states.append(states[-1].within(tag))
        if following and len(states) > 1 and tag.end < following.start:
            yield tag.end, following.start, states[-1]
