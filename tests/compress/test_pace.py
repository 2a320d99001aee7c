"""The measured speed: told from late work, and never a door that stays shut."""

from __future__ import annotations

import pytest

from proxy.compress.pace import Pace


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_nothing_is_foretold_from_nothing() -> None:
    pace = Pace(Clock())
    assert pace.seconds_for(1e9) == 0.0
    pace.note(1, 0.001)  # too short to say anything
    assert pace.seconds_for(1e9) == 0.0


def test_time_is_amount_by_speed() -> None:
    pace = Pace(Clock())
    pace.note(1000, 0.5)
    assert pace.seconds_for(4000) == pytest.approx(2)


def test_late_work_counts_more_than_early_work() -> None:
    pace = Pace(Clock())
    for _ in range(200):
        pace.note(1000, 0.1)
    for _ in range(200):
        pace.note(1000, 1.0)
    assert pace.seconds_for(1000) == pytest.approx(1, rel=0.2)


def test_a_busy_moment_is_forgotten_when_nothing_is_measured_any_more() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.note(1000, 0.1)
    for _ in range(300):
        pace.note(1000, 10)
    assert pace.seconds_for(1000) > 5
    clock.now = 60
    assert pace.seconds_for(1000) == pytest.approx(0.1)
