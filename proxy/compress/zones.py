"""The parts of a text that have budgets of their own: its regions, and all the rest.

Knows nothing of scores: it says how many tokens each part may have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from proxy.compress.keep import Budget
from proxy.compress.words import Units
from proxy.reading import Reading
from proxy.types import Region

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Zones:
    """Which zone each unit is in. The rest of the text is the last zone."""

    of: Ints
    """Index of each unit's zone, shape ``(units,)``."""
    starts: Ints
    """First unit of each region, shape ``(regions,)``; a region has at least one."""
    ends: Ints
    rates: tuple[float | None, ...]
    """Rate of each zone; ``None`` for the rate of the text, as in the rest."""

    @classmethod
    def among(cls, units: Units, regions: Sequence[Region], reading: Reading) -> Zones:
        """``regions`` are sorted spans of the source, free of overlap.

        A unit is in the region that it starts in.
        """
        places = [reading.places([(region.start, region.end)]) for region in regions]
        edges = np.array([p[0] if p else (0, 0) for p in places], np.int64).reshape(-1, 2)
        starts = np.searchsorted(units.starts, edges[:, 0])
        ends = np.searchsorted(units.starts, edges[:, 1])
        filled = starts < ends
        rates = [region.rate for region, there in zip(regions, filled, strict=True) if there]
        starts, ends = starts[filled], ends[filled]
        of = np.full(len(units), len(rates))
        of[_ranges(starts, ends)] = np.repeat(np.arange(len(rates)), ends - starts)
        return cls(of, starts, ends, (*rates, None))

    def where(self, zone: int) -> slice:
        """The stretch of units that the zone lies in; the rest may lie all over the text."""
        if zone == len(self.starts):
            return slice(0, len(self.of))
        return slice(int(self.starts[zone]), int(self.ends[zone]))

    def most(self, worth: Floats) -> Floats:
        """For each unit the highest worth of its zone."""
        highest = np.full(len(self.rates), -np.inf, dtype=np.float32)
        np.maximum.at(highest, self.of, worth)
        return highest[self.of]

    @cached_property
    def stretch(self) -> Ints:
        """A number for each unit that grows wherever a region begins or ends."""
        return np.cumsum(np.diff(self.of, prepend=self.of[:1]) != 0)

    def whole(self, rate: float) -> Bools:
        """Units of zones of which everything stays; ``rate`` is that of the text."""
        full = [(rate if own is None else own) >= 1 for own in self.rates]
        return np.array(full, dtype=np.bool_)[self.of]

    def split(self, order: Ints) -> list[Ints]:
        """The units of each zone, in the order of ``order``."""
        grouped = order[np.argsort(self.of[order], kind="stable")]
        sizes = np.bincount(self.of, minlength=len(self.rates))
        return np.split(grouped, np.cumsum(sizes)[:-1])

    def targets(
        self, budget: Budget, outside: Bools, total: int, rate: float, target: int | None
    ) -> list[int]:
        """Tokens for each zone; units ``outside`` the budget all stay and do not count.

        ``total`` is the number of tokens of the text. A ``target`` for the whole text takes the
        place of ``rate``: what zones with a rate of their own leave of it is for the others, in
        proportion.
        """
        count = len(self.rates)
        tokens = np.bincount(self.of, budget.in_place, minlength=count).astype(np.int64)
        tokens[-1] = total - tokens[:-1].sum()
        fixed = np.bincount(self.of, budget.in_place * outside, minlength=count).astype(np.int64)
        free = np.maximum(tokens - fixed, 0)
        own = np.array([r is not None for r in self.rates])
        rates = np.array([rate if r is None else r for r in self.rates])
        if target is not None:
            spoken_for = fixed.sum() + np.rint(rates * free)[own].sum()
            rates[~own] = np.clip((target - spoken_for) / max(free[~own].sum(), 1), 0, 1)
        return [int(number) for number in fixed + np.rint(rates * free)]


def _ranges(starts: Ints, ends: Ints) -> Ints:
    """All numbers of the ranges ``[start, end)``, one after the other."""
    sizes = ends - starts
    steps = np.arange(int(sizes.sum()), dtype=np.int64)
    return np.asarray(steps + np.repeat(starts - np.cumsum(sizes) + sizes, sizes))
