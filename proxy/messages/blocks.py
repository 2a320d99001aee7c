"""Blocks that stay as they are, by class: the policy names the classes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from proxy.messages.code import code_blocks
from proxy.messages.spans import disjoint
from proxy.messages.structure import json_blocks
from proxy.messages.tables import tables
from proxy.types import Mark

FINDERS: Mapping[str, Callable[[str], tuple[Mark, ...]]] = MappingProxyType(
    {
        "code": code_blocks,
        "json": json_blocks,
        "tables": tables,
    }
)
"""By the policy's name of a class: what finds its blocks."""


def blocks(text: str, classes: Collection[str]) -> tuple[Mark, ...]:
    """Marks of the named classes, sorted and free of overlap. Other names are not of blocks."""
    return disjoint(
        mark for name, find in FINDERS.items() if name in classes for mark in find(text)
    )
