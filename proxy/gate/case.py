"""One compressed text as the checks see it, with what several of them need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from proxy.config_policy import Policy
from proxy.reading import Reading
from proxy.spans import edges_of
from proxy.tokens import Encoding
from proxy.types import Compressed, Passage, Span

Edges = npt.NDArray[np.int64]
"""Shape ``(spans, 2)``, start and end of each."""


@dataclass(frozen=True)
class Case:
    """A passage, what became of it, and what was promised."""

    passage: Passage
    compressed: Compressed
    policy: Policy
    encoding: Encoding

    @property
    def before(self) -> str:
        return self.passage.text

    @property
    def after(self) -> str:
        return self.compressed.text

    @cached_property
    def kept(self) -> Edges:
        """The kept spans with those that touch made one."""
        return merged(edges_of(self.compressed.kept))

    @cached_property
    def reading(self) -> Reading:
        """The original without what must not be sent, and with its escapes decoded."""
        return Reading.of(self.before, self.passage.escapes, self.passage.dropped)

    @cached_property
    def kept_of_reading(self) -> Edges:
        """What was kept of the reading."""
        if self.reading.plain:
            return self.kept
        return merged(edges_of(self.reading.places(self.compressed.kept)))

    def survive(self, wanted: Iterable[Span]) -> bool:
        """Whether each of the spans of the reading was kept whole."""
        return within(wanted, self.kept_of_reading)


def within(wanted: Iterable[Span], kept: Edges) -> bool:
    """Whether each of the spans lies in one of those kept; empty ones do."""
    asked = edges_of(wanted)
    asked = asked[asked[:, 0] < asked[:, 1]]
    if not len(asked) or not len(kept):
        return not len(asked)
    at = np.searchsorted(kept[:, 0], asked[:, 0], side="right") - 1
    return bool(((at >= 0) & (kept[at, 1] >= asked[:, 1])).all())


def merged(kept: Edges) -> Edges:
    """The spans (ascending, not empty) with those that touch made one."""
    if not len(kept):
        return kept
    apart = np.flatnonzero(kept[1:, 0] != kept[:-1, 1]) + 1
    starts, ends = kept[np.append(0, apart), 0], kept[np.append(apart - 1, len(kept) - 1), 1]
    return np.stack([starts, ends], axis=1)
