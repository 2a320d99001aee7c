"""Blocks that stay as they are, by class: the policy names the classes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from proxy.messages.code import code_blocks
from proxy.messages.diffs import diffs
from proxy.messages.logs import logs
from proxy.messages.mail import mail_headers
from proxy.messages.markdown import front_matter
from proxy.messages.markup import tags
from proxy.messages.spans import disjoint
from proxy.messages.structure import json_documents
from proxy.messages.tables import tables
from proxy.messages.traces import traces
from proxy.types import Mark

FINDERS: Mapping[str, Callable[[str], tuple[Mark, ...]]] = MappingProxyType(
    {
        "code": code_blocks,
        "json": json_documents,
        "tables": tables,
        "diffs": diffs,
        "traces": traces,
        "logs": logs,
        "mail": mail_headers,
        "markdown": front_matter,
        "tags": tags,
    }
)
"""By the policy's name of a class: what finds its blocks."""


def blocks(text: str, classes: Collection[str]) -> tuple[Mark, ...]:
    """Marks of the named classes, sorted and free of overlap. Other names are not of blocks."""
    return disjoint(
        mark for name, find in FINDERS.items() if name in classes for mark in find(text)
    )
