"""Set single values in YAML text and leave every other character as it is, comments included."""

from __future__ import annotations

from yaml.nodes import MappingNode, Node, SequenceNode

from proxy.config_yaml import Place, compose
from proxy.errors import ConfigError


def with_value(text: str, place: Place, value: str) -> str:
    """The text with ``value``, YAML for a scalar, at ``place``.

    A key that is missing is added to the mapping around it, and so is that mapping at the top
    level. Raises ConfigError for a place that cannot be written to.
    """
    *way, key = place
    root = compose(text)
    if len(way) == 1 and isinstance(root, MappingNode) and _child(root, way[0]) is None:
        return _appended(text, root, str(way[0]), f"{key}: {value}")
    node: Node | None = root
    for step in way:
        node = _child(node, step)
    if not isinstance(node, MappingNode):
        name = ".".join(map(str, way))
        raise ConfigError([f"{name}: is no mapping in this file; write it out by hand"])
    old = _child(node, key)
    if old is not None:
        start, end = old.start_mark.index, old.end_mark.index
        return text[:start] + value + text[end:]
    return _added(text, node, f"{key}: {value}")


def _child(node: Node | None, step: str | int) -> Node | None:
    if isinstance(node, SequenceNode) and isinstance(step, int):
        return node.value[step] if step < len(node.value) else None
    if isinstance(node, MappingNode):
        return next((child for key, child in node.value if key.value == step), None)
    return None


def _added(text: str, node: MappingNode, pair: str) -> str:
    if not node.flow_style:
        at = node.start_mark.index
        return f"{text[:at]}{pair}{_newline(text)}{' ' * node.start_mark.column}{text[at:]}"
    end = node.end_mark.index - 1  # before the brace
    held = text[:end].rstrip()
    gap = text[len(held) : end]
    comma = "" if not node.value else (" " if held.endswith(",") else ", ")
    return held + comma + pair + gap + text[end:]


def _appended(text: str, root: MappingNode, name: str, pair: str) -> str:
    if root.flow_style:
        return _added(text, root, f"{name}: {{{pair}}}")
    line = _newline(text)
    return f"{text.rstrip()}{line}{line}{name}:{line}  {pair}{line}"


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
