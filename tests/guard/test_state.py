"""The state machine: it moves on evidence alone, rarely, and ends where the answers are good."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.guard.state import LEAD_S, Observation, Rule, State, observe, reset

RULE = Rule(floor=0.8, margin=0.05, min_samples=10, cooldown_s=1000, top=4)


def watch(rule: Rule, scores: list[float], pause: float = 60, state: State | None = None) -> State:
    state, now = state or State(), 0.0
    for score in scores:
        now += pause
        state = observe(rule, state, Observation(score, state.at(now)[1]), now)
    return state


def simulated(
    rule: Rule, quality: list[float], samples: int, seed: int, pause: float = 600
) -> list[tuple[float, int]]:
    """(time, level) of each change on a route whose answers agree so well at each level."""
    dice, state, now = random.Random(seed), State(), 0.0
    moves = []
    for _ in range(samples):
        now += pause
        level, change = state.at(now)
        score = min(1.0, max(0.0, dice.gauss(quality[level], 0.15)))
        after = observe(rule, state, Observation(score, change), now)
        if after.changes != state.changes:
            moves.append((now, after.level))
        state = after
    return moves


def test_bad_answers_raise_the_rate_a_step_once_there_are_enough_of_them() -> None:
    assert watch(RULE, [0.2] * 9).level == 0
    raised = watch(RULE, [0.2] * 10)
    assert (raised.level, raised.changes, raised.samples) == (1, 1, 0)


def test_good_answers_change_nothing() -> None:
    assert watch(RULE, [1.0] * 500).changes == 0


def test_one_change_waits_for_the_last_one() -> None:
    assert watch(RULE, [0.2] * 20, pause=20).level == 1
    assert watch(RULE, [0.2] * 70, pause=20).level == 2


def test_a_change_takes_effect_at_one_moment_for_everybody() -> None:
    state = watch(RULE, [0.2] * 10, pause=60)
    assert state.since == 600 + LEAD_S
    assert state.at(600) == (0, 0)
    assert state.at(state.since) == (1, 1)


def test_what_was_observed_before_a_change_is_dropped() -> None:
    state = watch(RULE, [0.2] * 10)
    late = Observation(0.0, change=0)
    assert observe(RULE, state, late, now=2000) is state
    assert observe(RULE, state, Observation(0.0, 1), now=600) is state  # not yet in effect


def test_the_rate_is_lowered_when_answers_agree_by_a_margin() -> None:
    state = watch(RULE, [0.2] * 10)
    assert watch(RULE, [0.84] * 200, state=state).level >= 1  # above the floor, within the margin
    assert watch(RULE, [0.99] * 100, state=state).level == 0


def test_what_was_taken_back_is_tried_less_and_less_often() -> None:
    """Level 1 is bad and level 2 is so good that the margin is met: it could go on for ever."""
    moves = simulated(RULE, [0.3, 0.6, 0.97, 0.98, 0.99], 20_000, seed=1)
    tries = [now for now, level in moves if level == 1][1:]  # after the first way up
    gaps = [after - before for before, after in pairwise(tries)]
    assert len(gaps) >= 3
    limit = [1000 * 2**k for k in range(1, 7)]
    assert all(gap >= least for gap, least in zip(gaps, limit, strict=False))


@pytest.mark.parametrize("seed", range(10))
def test_a_route_ends_at_the_first_rate_that_is_good_enough(seed: int) -> None:
    moves = simulated(RULE, [0.4, 0.6, 0.84, 0.9, 0.95], 1500, seed)
    assert [level for _, level in moves] == [1, 2]


@pytest.mark.parametrize("seed", range(10))
def test_a_route_that_recovers_goes_back_to_its_own_rate(seed: int) -> None:
    state = State(level=3, before=3, changes=3)
    dice, now = random.Random(seed), 0.0
    for _ in range(3000):
        now += 600
        seen = Observation(min(1.0, dice.gauss(0.95, 0.1)), state.at(now)[1])
        state = observe(RULE, state, seen, now)
    assert state.level == 0


@pytest.mark.parametrize("seed", range(20))
def test_a_route_just_at_its_floor_is_left_alone(seed: int) -> None:
    moves = simulated(RULE, [0.8, 0.9, 0.95, 0.97, 0.98], 300, seed)
    assert len(moves) <= 2


def test_a_reset_forgets_all_but_the_number_of_changes() -> None:
    state = watch(RULE, [0.2] * 10)
    again = reset(state, now=5000)
    assert (again.level, again.before, again.changes, again.samples) == (0, 1, 2, 0)


def test_a_reset_keeps_a_change_that_has_not_taken_effect_from_ever_doing_so() -> None:
    state = watch(RULE, [0.2] * 10)  # decided at 600
    again = reset(state, now=601)
    for now in (601, state.since, again.since - 1e-6, again.since, 1e9):
        assert again.at(now)[0] == 0


steps = st.lists(
    st.tuples(st.floats(0, 1), st.floats(-500, 3000), st.integers(0, 1)), min_size=1, max_size=400
)


@settings(deadline=None)
@given(steps, st.integers(2, 20), st.floats(0, 5000), st.integers(0, 5))
def test_changes_are_single_steps_within_bounds_and_never_close_together(
    seen: list[tuple[float, float, int]], least: int, cooldown: float, top: int
) -> None:
    """Whatever is observed, late answers and a clock that jumps back included."""
    rule = Rule(0.8, 0.05, least, cooldown, top)
    state, now, changed, judged = State(), 10_000.0, None, 0
    for score, pause, behind in seen:
        now += pause
        after = observe(rule, state, Observation(score, state.at(now)[1] - behind), now)
        judged += 1
        if after.changes != state.changes:
            assert after.changes == state.changes + 1
            assert abs(after.level - state.level) == 1 and 0 <= after.level <= top
            assert judged >= least
            assert changed is None or now - changed >= cooldown
            low, high = after.level < state.level, after.level > state.level
            mean = state.agreement
            assert mean is not None
            assert (low and mean > rule.floor) or (high and mean < rule.floor)
            changed, judged = now, 0
        state = after
    assert state.samples <= 401 and 0 <= (state.agreement or 0) <= 1 + 1e-9
