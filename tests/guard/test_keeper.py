"""What several servers and workers make of one state: the same, at the same moment."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from proxy.config import Config
from proxy.config_policy import NamedPolicy
from proxy.config_routes import Guard, GuardBudget, RouteSettings
from proxy.guard.keeper import REFRESH_S, Keeper
from proxy.guard.state import LEAD_S, Observation
from proxy.guard.store import SqliteStore

GUARD = Guard(sample=1, min_samples=4, cooldown_s=0, step=0.2, ceiling=0.9)
NAME = "* -> p"


def config(guard: Guard = GUARD, rate: float = 0.4) -> Config:
    return Config(
        policies={"p": NamedPolicy(rate=rate)}, routes=(RouteSettings(policy="p", guard=guard),)
    )


class Workers:
    """Some that share a file, and a clock that all of them see."""

    def __init__(self, file: Path, count: int = 2, settings: Config | None = None) -> None:
        self.now = 1_000_000.0
        self.file = file
        self.settings = settings or config()
        (self.route,) = self.settings.routes
        self.keepers = [self.another() for _ in range(count)]

    def another(self, settings: Config | None = None) -> Keeper:
        return Keeper(settings or self.settings, SqliteStore(self.file), lambda: self.now)

    def raised(self) -> list[float]:
        return [keeper.raised(self.route) for keeper in self.keepers]

    def see(self, *scores: float) -> None:
        """Comparisons of which each is another worker's than the one before."""
        for at, score in enumerate(scores):
            keeper = self.keepers[at % len(self.keepers)]
            _, change = keeper.at(self.route)
            keeper.observe(self.route, Observation(score, change))

    def wait(self, seconds: float) -> None:
        """Time passes, in which each worker looks at the file as often as a server does."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + REFRESH_S)
            for keeper in self.keepers:
                keeper.refresh()


def test_samples_of_all_workers_count_together(tmp_path: Path) -> None:
    workers = Workers(tmp_path / "guard.sqlite")
    workers.see(0.1, 0.1, 0.1)
    workers.keepers[0].refresh()
    assert workers.keepers[0].states()[NAME].samples == 3
    workers.see(0.1)
    states = [keeper.states()[NAME] for keeper in workers.keepers]
    assert max(state.changes for state in states) == 1  # by the one that saw the fourth


def test_a_change_takes_effect_on_all_workers_at_one_moment(tmp_path: Path) -> None:
    workers = Workers(tmp_path / "guard.sqlite", count=3)
    workers.see(*[0.1] * 4)
    workers.wait(LEAD_S - 0.01)
    assert workers.raised() == [0, 0, 0]
    workers.wait(0.01)
    assert workers.raised() == [0.2, 0.2, 0.2]
    assert all(keeper.broke_prefixes(workers.route) for keeper in workers.keepers)


def test_each_worker_tells_once_of_a_change_that_it_did_not_decide(tmp_path: Path) -> None:
    workers = Workers(tmp_path / "guard.sqlite", count=3)
    with capture_logs() as lines:
        workers.see(*[0.1] * 4, 0.1)  # the second one learns of it by a comparison of its own
        workers.wait(LEAD_S)  # the third one by looking
    assert [line["event"] for line in lines] == ["guard raised the rate"] + ["guard follows"] * 2
    assert {line["level"] for line in lines} == {1}


@pytest.mark.parametrize("after", [0.5, 3.0, 4.9])
def test_a_reset_before_a_change_has_taken_effect_undoes_it_for_all(
    tmp_path: Path, after: float
) -> None:
    """Else who knew of it would have raised the rate at once, and the others not."""
    workers = Workers(tmp_path / "guard.sqlite")
    workers.see(*[0.1] * 4)
    workers.wait(after)
    workers.another().reset(NAME)
    workers.keepers[0].refresh()
    for _ in range(20):
        assert workers.raised() == [0, 0]
        workers.wait(0.5)


def test_a_restart_finds_the_raised_rate_and_goes_on_from_there(tmp_path: Path) -> None:
    workers = Workers(tmp_path / "guard.sqlite")
    workers.see(*[0.1] * 4)
    workers.wait(LEAD_S)
    workers.see(0.1, 0.1)
    workers.keepers = [workers.another(), workers.another()]
    assert workers.raised() == [0.2, 0.2]
    assert [k.states()[NAME].samples for k in workers.keepers] == [2, 2]
    workers.see(0.1, 0.1)
    workers.wait(LEAD_S)
    assert workers.raised() == [0.4, 0.4]


def test_the_state_of_another_policy_is_not_taken_over(tmp_path: Path) -> None:
    workers = Workers(tmp_path / "guard.sqlite")
    workers.see(*[0.1] * 4)
    workers.wait(LEAD_S)
    other = config(rate=0.5)
    keeper = workers.another(other)
    assert keeper.raised(other.routes[0]) == 0
    again = workers.another()
    assert again.raised(workers.route) == 0.2  # until the other has seen something


def test_what_was_spent_outlives_a_restart_and_a_change_of_the_policy(tmp_path: Path) -> None:
    guard = GUARD.model_copy(update={"budget": GuardBudget(calls_per_hour=2)})
    workers = Workers(tmp_path / "guard.sqlite", settings=config(guard))
    assert [keeper.reserve(workers.route, None) for keeper in workers.keepers] == [True, True]
    assert not workers.another().reserve(workers.route, None)
    other = config(guard, rate=0.5)
    assert not workers.another(other).reserve(other.routes[0], None)


def test_workers_side_by_side_never_spend_more_than_the_budget(tmp_path: Path) -> None:
    guard = GUARD.model_copy(update={"budget": GuardBudget(calls_per_hour=25, usd_per_day=1.0)})
    workers = Workers(tmp_path / "guard.sqlite", count=4, settings=config(guard))
    granted: list[bool] = []

    def spend(keeper: Keeper) -> None:
        granted.extend(keeper.reserve(workers.route, 0.0625) for _ in range(12))

    threads = [threading.Thread(target=spend, args=(keeper,)) for keeper in workers.keepers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == 48
    assert sum(granted) == 16  # a dollar's worth
    for _ in range(16):
        workers.keepers[0].settle(workers.route, 0.0625, 0.03125)
    assert sum(keeper.reserve(workers.route, 0.0625) for keeper in workers.keepers * 3) == 8


def test_a_file_that_cannot_be_read_leaves_the_rate_as_it_was(tmp_path: Path) -> None:
    workers = Workers(tmp_path / "guard.sqlite")
    workers.see(*[0.1] * 4)
    workers.wait(LEAD_S)
    workers.file.write_bytes(b"this is no database" * 100)
    for keeper in workers.keepers:
        keeper.refresh()
        assert not keeper.reserve(workers.route, None)
        assert keeper.observe(workers.route, Observation(0.1, 1)) is None
    assert workers.raised() == [0.2, 0.2]
