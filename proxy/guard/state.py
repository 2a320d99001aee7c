"""When to raise a route's rate and when to lower it again: a state machine without I/O or clock.

A change costs: every conversation that is under way loses its cached prefix at the provider once.
So there are few of them. Raising needs evidence that agreement is below the floor, lowering that it
is above the floor by a margin, either at two standard errors; both need a minimum of samples and of
time since the last change; and every lowering that has to be taken back doubles the time before
the next one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

LEAD_S = 5.0
"""Seconds between a decision and its effect, so that all workers know it when it takes effect."""
_ERRORS = 2.0
"""Standard errors by which agreement must differ."""
_MEMORY = 400.0
"""Samples that count in full; older ones fade."""
_MOST_DOUBLINGS = 6


@dataclass(frozen=True, slots=True)
class Rule:
    """What a route asks of its answers, and how often its rate may change."""

    floor: float
    """Agreement, in [0, 1], below which the rate is raised."""
    margin: float
    """How far above the floor agreement has to be for the rate to be lowered."""
    min_samples: int
    cooldown_s: float
    top: int
    """The highest level: from there on a step raises nothing."""


@dataclass(frozen=True, slots=True)
class State:
    """How far a route's rate is raised, and what was seen since. Level 0 is the policy's own."""

    level: int = 0
    before: int = 0
    """The level until ``since``."""
    since: float = 0.0
    """Seconds since the epoch from which ``level`` holds."""
    changes: int = 0
    """Changes so far, resets included."""
    taken_back: int = 0
    """Lowerings that were taken back, in a row."""
    lowered: bool = False
    """Whether the last change was one downwards."""
    samples: float = 0.0
    """How many there are at this level, the old ones faded."""
    total: float = 0.0
    """The sum of their scores."""
    squares: float = 0.0
    unjudged: int = 0
    """Samples since the last look at them."""

    def at(self, now: float) -> tuple[int, int]:
        """The level that holds then, and the number of the change that brought it."""
        return (self.before, self.changes - 1) if now < self.since else (self.level, self.changes)

    @property
    def agreement(self) -> float | None:
        """The mean score at this level; None without samples."""
        return self.total / self.samples if self.samples else None

    def bounds(self) -> tuple[float, float]:
        """The mean score, two standard errors down and up.

        With one score of 0 and one of 1 added, so that a few that are all the same prove little.
        """
        count = self.samples + 2
        mean = (self.total + 1) / count
        spread = max(0.0, (self.squares + 1) / count - mean * mean)
        error = _ERRORS * math.sqrt(spread / count)
        return mean - error, mean + error


@dataclass(frozen=True, slots=True)
class Observation:
    """One comparison: how far two answers agree, in [0, 1], and at which change's level."""

    score: float
    change: int


def observe(rule: Rule, state: State, seen: Observation, now: float) -> State:
    """The state with one more observation; its ``changes`` tell whether the level has changed.

    What was observed before the last change took effect says nothing about it and is dropped.
    """
    if seen.change != state.changes or now < state.since:
        return state
    fade = min(1.0, (_MEMORY - 1) / max(1.0, state.samples))
    state = replace(
        state,
        samples=fade * state.samples + 1,
        total=fade * state.total + seen.score,
        squares=fade * state.squares + seen.score**2,
        unjudged=state.unjudged + 1,
    )
    if state.unjudged < rule.min_samples:
        return state
    return _judged(rule, replace(state, unjudged=0), now)


def _judged(rule: Rule, state: State, now: float) -> State:
    low, high = state.bounds()
    waited = now - state.since if state.changes else math.inf
    if high < rule.floor and state.level < rule.top and waited >= rule.cooldown_s:
        failed = state.taken_back + 1 if state.lowered else state.taken_back
        return replace(_moved(state, state.level + 1, now), taken_back=failed)
    patience = rule.cooldown_s * 2 ** min(state.taken_back, _MOST_DOUBLINGS)
    if low > rule.floor + rule.margin and state.level > 0 and waited >= patience:
        kept = 0 if state.lowered else state.taken_back  # two in a row: the first one held
        return replace(_moved(state, state.level - 1, now), lowered=True, taken_back=kept)
    return state


def _moved(state: State, level: int, now: float) -> State:
    # From the level that holds now: one that was decided just before has not taken effect yet.
    before, _ = state.at(now)
    return State(level=level, before=before, since=now + LEAD_S, changes=state.changes + 1)


def reset(state: State, now: float) -> State:
    """Back to the policy's own rate, with everything forgotten but that this is a change."""
    return _moved(state, 0, now)
