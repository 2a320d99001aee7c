"""``drop_consecutive``: marks that always stay go all the same where nothing is left to end.

Knows nothing of scores: it looks at what is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from proxy.compress.keep import Finish
from proxy.compress.words import INTACT, LINE, Units
from proxy.types import Rules

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_LINE, _END = 0, 1
"""Kinds of marks: line ends, ends of sentences. Every other forced token is one more."""

_HEADING = re.compile(r"\n[ ]{0,3}#{1,6}[ \t][^\n]*(?=\n)")


@dataclass(frozen=True)
class Repeats:
    """The forced marks of a text; arrays have shape ``(units,)``.

    Of marks in a row with nothing else kept between, one stays. Line ends are one kind, the ends
    of sentences another, any other forced token its own. The first mark of a kind stays; of line
    ends the last of those with the most lines, so that an empty line before a heading is still
    there.

    The end of a sentence goes as well where it has nothing to follow: at the start of a text, a
    paragraph or a line, behind a head or a block. So does a line end at the start of a text, or
    behind a head that is not alone in its paragraph.
    """

    kind: Ints
    """Kind of each mark, -1 of all other units."""
    lines: Ints
    """How many lines each line end goes over."""
    inside: Bools
    """Units of heads."""
    block: Bools
    """Units that are blocks."""
    breaks: Ints
    """Grows with each line end that no sentence goes over: before an empty line or a head, and
    after a heading."""
    stretch: Ints
    """Grows where something is kept in between that is chosen elsewhere."""

    @classmethod
    def among(
        cls, units: Units, rules: Rules, loose: Bools, inside: Bools, stretch: Ints
    ) -> Repeats:
        """``loose``: units that are forced but not as part of a span; ``inside``: those in heads.

        There are none if the rules don't ask for it.
        """
        kinds: dict[str, int] = {"\n": _LINE, ".": _END}
        kind = np.full(len(units), -1, dtype=np.int64)
        if not rules.drop_consecutive:
            return cls(kind, kind, inside, inside, kind, stretch)
        for index in np.flatnonzero(loose & ~inside & ~units.intact).tolist():
            name = _repeatable(units.strings[index], rules)
            if name:
                kind[index] = kinds.setdefault(name, len(kinds))
        lines = np.where(units.kinds == LINE, units.each(lambda s: s.count("\n"), np.int64), 0)
        breaks = lines > 1
        breaks[:-1] |= (lines[:-1] > 0) & inside[1:]
        headed = [match.end() - 1 for match in _HEADING.finditer("\n" + units.text)]
        breaks |= (lines > 0) & np.isin(units.starts, headed)
        block = units.kinds == INTACT
        return cls(kind, lines, inside, block, np.cumsum(breaks), stretch)

    def finish(self, where: slice) -> Finish:
        """Takes repeated marks out of masks of the units in the stretch ``where``."""
        kind, stretch = self.kind[where], self.stretch[where]
        marks = np.flatnonzero(kind >= 0)
        if not len(marks):
            return lambda kept: kept
        lines = self.lines[where][marks]
        marks = marks[np.lexsort((np.where(lines > 0, -marks, marks), -lines))]
        kinds = int(kind.max()) + 1

        def without(kept: Bools) -> Bools:
            others = np.flatnonzero(kept & (kind < 0))
            there = marks[kept[marks]]
            # How many other units are kept before a mark tells which run of marks it is in.
            before = np.searchsorted(others, there)
            run = stretch[there] + before
            _, best = np.unique(run * kinds + kind[there], return_index=True)
            result = kept.copy()
            result[there] = False
            result[there[best]] = True
            if len(others):
                loose = self._loose(where, others, there[best], run[best], before[best])
                result[there[best][loose]] = False
            return result

        return without

    def _loose(self, where: slice, others: Ints, marks: Ints, run: Ints, before: Ints) -> Bools:
        """Which marks have nothing to end; ``marks`` are one of a kind in each run, in order."""
        kind, breaks, stretch = self.kind[where], self.breaks[where], self.stretch[where]
        end, line = kind[marks] == _END, kind[marks] == _LINE
        last = others[np.maximum(before - 1, 0)]
        head, block = self.inside[where][last], self.block[where][last]
        broken = breaks[marks] > breaks[last]
        unfit = (line & head & ~broken) | (end & (head | block | broken))
        loose = unfit & (stretch[marks] == stretch[last])
        loose |= (line | end) & (before == 0) & (stretch[marks] == stretch[0])
        # An end behind the line end of its run: that one comes first in the order of kinds.
        loose[1:] |= end[1:] & line[:-1] & (run[1:] == run[:-1]) & (marks[1:] > marks[:-1])
        return np.asarray(loose)


def _repeatable(unit: str, rules: Rules) -> str:
    if unit[0] == "\n":
        return "\n"
    if not unit.strip(".!?"):
        return "."
    reserved = rules.force_reserve_digit and any(map(str.isdecimal, unit))
    return unit if unit in rules.force_tokens and not reserved else ""
