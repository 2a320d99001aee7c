"""YAML text to plain values, each with the line it stands on. Knows nothing of their meaning.

Read by the core schema of YAML 1.2: only ``true`` and ``false`` are booleans, so that
``mode: off`` and ``force_tokens: [no, not]`` mean what they say, and dates stay strings.
Keys are always strings. Anchors and ``<<`` merges work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Place = tuple[str | int, ...]
"""Keys and indices from the top of the file to a value."""

_NO_TAG = "a value can't begin with a tag (!...) here; put it in quotes if it is text"
_HALF = (
    "has half of a surrogate pair (\\ud800 to \\udfff), which is no character; write \\U0001f600"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_MOST_VALUES = 100_000
_TAG = "tag:yaml.org,2002:"
_NULL = re.compile(r"|~|null|Null|NULL")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)


class YamlError(Exception):
    """Text that is no YAML. ``line`` counts from 1; ``what`` never quotes the text."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line
        self.what = what


@dataclass(frozen=True)
class Document:
    """A file's values with their lines."""

    value: Any = field(repr=False)
    lines: Mapping[Place, int]
    problems: tuple[tuple[Place, int, str], ...]
    """Duplicate keys and the like: place, line, what."""


class _Loader(yaml.SafeLoader):
    """Composes nodes, with plain words tagged by the core schema; it constructs nothing."""

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> Any:
        if kind is ScalarNode and implicit[0]:
            fits = (name for name, (pattern, _) in _SCALARS.items() if pattern.fullmatch(value))
            return _TAG + next(fits, "str")
        return _TAG + {ScalarNode: "str", SequenceNode: "seq", MappingNode: "map"}[kind]


def parse(text: str) -> Document:
    """The one document in the text. Raises YamlError."""
    root = compose(text)
    builder = _Builder()
    try:
        value = builder.value(root, ()) if root is not None else None
    except RecursionError:
        raise YamlError(1, "is nested too deeply") from None
    return Document(value, builder.lines, tuple(builder.problems))


def compose(text: str) -> Node | None:
    """The nodes of the one document in the text, with their places in it. Raises YamlError."""
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.reader.ReaderError as exc:
        line = text.count("\n", 0, exc.position) + 1
        raise YamlError(line, f"has the unprintable character U+{exc.character:04X}") from None
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        # Not chained: the error's own text quotes the line, which may hold a key.
        raise YamlError(mark.line + 1 if mark else 1, _plain(exc)) from None
    except RecursionError:
        raise YamlError(1, "is nested too deeply") from None


class _Builder:
    """Turns nodes into values and notes the line of each."""

    def __init__(self) -> None:
        self.lines: dict[Place, int] = {(): 1}
        self.problems: list[tuple[Place, int, str]] = []
        self._open: set[int] = set()
        self._count = 0

    def value(self, node: Node, place: Place) -> Any:
        line = node.start_mark.line + 1
        self._count += 1
        if self._count > _MOST_VALUES:
            raise YamlError(line, f"unfolds to more than {_MOST_VALUES:,} values")
        if id(node) in self._open:
            raise YamlError(line, "has an anchor that contains itself")
        self._open.add(id(node))
        try:
            return self._dispatch(node, place)
        finally:
            self._open.discard(id(node))

    def _dispatch(self, node: Node, place: Place) -> Any:
        if isinstance(node, MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, place)
        if isinstance(node, SequenceNode) and node.tag == _TAG + "seq":
            return [self._item(child, (*place, i)) for i, child in enumerate(node.value)]
        if isinstance(node, ScalarNode):
            return self._scalar(node, place)
        self._problem(place, node, _NO_TAG)
        return None

    def _item(self, node: Node, place: Place) -> Any:
        self.lines[place] = node.start_mark.line + 1
        return self.value(node, place)

    def _mapping(self, node: MappingNode, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, child in node.value:
            if _is_merge(key):
                result = self._merged(child, place) | result
        first: dict[str, int] = {}
        for key, child in node.value:
            line = key.start_mark.line + 1
            _refuse_halves(key)
            if not isinstance(key, ScalarNode):
                self._problem(place, key, "a key must be a plain word")
            elif key.value in first:
                what = f"stands here a second time; it is on line {first[key.value]} already"
                self.problems.append(((*place, key.value), line, what))
            elif not _is_merge(key):
                first[key.value] = self.lines[(*place, key.value)] = line
                result[key.value] = self.value(child, (*place, key.value))
        return result

    def _merged(self, node: Node, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for part in node.value if isinstance(node, SequenceNode) else [node]:
            if isinstance(part, MappingNode):
                result = self.value(part, place) | result
            else:
                self._problem(place, part, "'<<' takes a mapping or a list of mappings")
        return result

    def _scalar(self, node: ScalarNode, place: Place) -> Any:
        _refuse_halves(node)
        name = node.tag.removeprefix(_TAG)
        if name == "str":
            return node.value
        pattern, convert = _SCALARS.get(name, (None, None))
        if pattern is None or convert is None:
            self._problem(place, node, _NO_TAG)
            return None
        if not pattern.fullmatch(node.value):
            self._problem(place, node, "the value does not fit its tag; leave the tag out")
            return None
        try:
            return convert(node.value)
        except ValueError:  # int() refuses thousands of digits
            self._problem(place, node, "the number has too many digits")
            return None

    def _problem(self, place: Place, node: Node, what: str) -> None:
        self.problems.append((place, node.start_mark.line + 1, what))


def _refuse_halves(node: Node) -> None:
    """Names and values end up in logs, receipts and headers, where only characters can stand."""
    if isinstance(node, ScalarNode) and _SURROGATE.search(node.value):
        raise YamlError(node.start_mark.line + 1, _HALF)


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_SCALARS: dict[str, tuple[re.Pattern[str], Callable[[str], Any]]] = {
    "null": (_NULL, lambda text: None),
    "bool": (_BOOL, lambda text: text.lower() == "true"),
    "int": (_INT, lambda text: int(text, 0) if text[:2] in ("0o", "0x") else int(text)),
    "float": (_FLOAT, _float),
}


def _is_merge(key: Node) -> bool:
    return isinstance(key, ScalarNode) and key.value == "<<" and key.style is None


_PLAIN = (
    (r"found character '\\t'", "has a tab; indent with spaces"),
    (r"found undefined alias", "has an unknown alias; put a value that begins with * in quotes"),
    (
        r"expected alphabetic or numeric character",
        'begins with * or &; put the value in quotes, e.g. "*"',
    ),
    (r"expected a single document", "holds a second document; keep one, without '---' between"),
    (r"mapping values are not allowed", "has a ': ' in a value or is indented unevenly"),
    (r"found unexpected end of stream", "has a quote or bracket that is never closed"),
    (r"expected ',' or '[\]}]'", "has a list or mapping whose bracket is not closed"),
    (r"could not find expected ':'", "has a key without ':'"),
    (r"expected <block end>", "is indented unevenly"),
    (r"found unknown escape", "has an unknown escape in double quotes; write \\\\ or '...'"),
    (r"found character .* cannot start", "has a value that needs quotes"),
    (r"expected '<document start>'", "has something left over at its end"),
    (r"expected the node content", "has a bracket where a value should stand"),
    (r"found duplicate anchor", "names two anchors alike"),
)


def _plain(exc: yaml.MarkedYAMLError) -> str:
    """What is wrong in a newcomer's words; an unknown complaint without anything it quotes."""
    problem = f"{exc.problem or ''} {exc.context or ''}"
    for pattern, words in _PLAIN:
        if re.search(pattern, problem):
            return words
    return "is not YAML: " + re.sub(r"'[^']*'|\"[^\"]*\"", "...", exc.problem or "broken")
