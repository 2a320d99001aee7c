"""Keeps a long-running process small: what glibc's allocator is told. Elsewhere nothing is done."""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8
"""glibc's number for "at most so many heaps"."""
_HEAPS = 2
"""Heaps of one process. glibc would open eight a core, and each keeps what one burst has taken."""


def few_heaps() -> None:
    """Lets threads share their heaps. For the start, before there are many threads."""
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _HEAPS)


def give_back() -> None:
    """Gives the system what start-up took and needs no more, such as a model's file as it was."""
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _glibc(name: str) -> ctypes._NamedFuncPointer | None:
    try:
        found: ctypes._NamedFuncPointer = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return None
    return found
