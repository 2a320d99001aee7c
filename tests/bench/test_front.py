"""The front of quality and speed, and its plot."""

from __future__ import annotations

from pathlib import Path

from tests.bench.front import Point, draw, front


def point(per_second: float, linked: float) -> Point:
    return Point("some/model", 128, 0.5, linked, per_second)


def test_only_what_nothing_beats_is_on_the_front() -> None:
    fast, good = point(90, 0.4), point(30, 0.6)
    slower, worse = point(80, 0.4), point(20, 0.5)
    assert front([worse, good, slower, fast]) == [fast, good]
    assert front([]) == []


def test_the_front_is_drawn(tmp_path: Path) -> None:
    draw([point(90, 0.4), point(30, 0.6)], 0.33, tmp_path / "front.png")
    assert (tmp_path / "front.png").stat().st_size > 5000
