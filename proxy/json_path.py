"""Paths into JSON documents, as policies name them: ``$.items[*].body``, ``$..description``.

A subset of JSONPath (RFC 9535) with globs in names. Knows nothing of documents.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

Key = str | int
"""A member's name or an element's index."""

_STEP = re.compile(
    r"""(?P<deep>\.\.)?(?:
        (?<=\.)(?P<name>[^.\[\]'"\s]+)
      | \.(?P<child>[^.\[\]'"\s]+)
      | \[(?:(?P<index>\d+)|(?P<any>\*)|(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'))\]
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path: which keys it takes, and whether at any depth."""

    key: Key | None
    """An index, an exact name or, with ``glob``, a pattern of names; ``None`` takes any key."""
    glob: bool
    deep: bool

    def takes(self, key: Key) -> bool:
        """Whether the step leads to the member or element ``key``."""
        if self.key is None:
            return True
        if not self.glob:
            return self.key == key
        return isinstance(key, str) and fnmatchcase(key, str(self.key))


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A path as written, and its steps."""

    written: str
    steps: tuple[Step, ...]

    def matches(self, keys: Iterable[Key]) -> bool:
        """Whether the path leads to the value at ``keys``, seen from the document's root."""
        reached = {0}
        for key in keys:
            following = set()
            for at in reached:
                if at < len(self.steps):
                    step = self.steps[at]
                    if step.takes(key):
                        following.add(at + 1)
                    if step.deep:
                        following.add(at)
            reached = following
        return len(self.steps) in reached


@lru_cache(maxsize=1024)
def parse(written: str) -> JsonPath:
    """The path. Raises ValueError, with what to write instead."""
    if not written.startswith("$"):
        raise ValueError('is no JSON path: start with $, as in "$.items[*].body"')
    steps, at = [], 1
    while at < len(written):
        match = _STEP.match(written, at)
        if match is None:
            raise ValueError(
                f"is no JSON path from {written[at : at + 20]!r} on; write .name, "
                "..name (at any depth), [0], [*] or ['any name'], with * and ? in names"
            )
        steps.append(_step(match))
        at = match.end()
    if not steps:
        raise ValueError('names the whole document; name strings in it, as in "$..body"')
    return JsonPath(written, tuple(steps))


def _step(match: re.Match[str]) -> Step:
    deep = match["deep"] is not None
    if match["index"] is not None:
        return Step(int(match["index"]), False, deep)
    if match["quoted"] is not None:
        return Step(_unquoted(match["quoted"]), False, deep)
    name = match["name"] or match["child"] or "*"
    if name == "*":
        return Step(None, False, deep)
    return Step(name, any(sign in name for sign in "*?"), deep)


def _unquoted(quoted: str) -> str:
    if quoted[0] == "'":
        inner = quoted[1:-1].replace("\\'", "'")
        quoted = '"' + re.sub(r'(?<!\\)"', r"\"", inner) + '"'
    try:
        return str(json.loads(quoted))
    except ValueError as exc:
        raise ValueError(f"has a name that is no JSON string: {quoted[:40]}") from exc
