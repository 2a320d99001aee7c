"""The guard of one server: by how much each route is raised now, and what may still be compared.

Reads of the state on a request's way are from memory; ``refresh`` brings that up to date, often
enough for a change, which takes effect ``LEAD_S`` after it was decided, to be known by then.
"""

from __future__ import annotations

import hashlib
import math
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from proxy.config import Config
from proxy.config_routes import RouteSettings
from proxy.guard.budget import Budget, reserve, settle
from proxy.guard.state import LEAD_S, Observation, Rule, State, observe, reset
from proxy.guard.store import Change, Row, Store

log = structlog.get_logger("precis")

REFRESH_S = LEAD_S / 3
"""Seconds between two looks at the store."""
CACHED_S = 3600.0
"""Seconds for which providers keep a prefix, at most: so long a change may cost conversations."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """One route under guard, and the limits of its state."""

    settings: RouteSettings
    rule: Rule
    budget: Budget
    policy: str
    """Fingerprint of what its state is about; another one begins anew."""


class Keeper:
    """The states of all guarded routes of a configuration."""

    def __init__(
        self, config: Config, store: Store, clock: Callable[[], float] = time.time
    ) -> None:
        """``clock``: seconds since the epoch."""
        self._routes = {g.settings.name: g for g in guarded(config)}
        self._store = store
        self._clock = clock
        self._states: Mapping[str, State] = {}
        self._unread = False
        self.refresh()

    @property
    def on(self) -> bool:
        """Whether any route is guarded."""
        return bool(self._routes)

    def raised(self, settings: RouteSettings) -> float:
        """By how much the route's rate is raised at this moment."""
        if settings.guard is None:
            return 0.0
        return round(self.at(settings)[0] * settings.guard.step, 6)

    def at(self, settings: RouteSettings) -> tuple[int, int]:
        """The route's level, and the number of the change that brought it."""
        return self._state(settings).at(self._clock())

    def broke_prefixes(self, settings: RouteSettings) -> bool:
        """Whether a change may have cost a conversation of now its cached prefix."""
        state = self._state(settings)
        return bool(state.changes) and 0 <= self._clock() - state.since < CACHED_S

    def states(self) -> Mapping[str, State]:
        """By the routes' names, as last read."""
        return {name: self._states.get(name, State()) for name in self._routes}

    def refresh(self) -> None:
        """Read what other workers have written. Waits for the disk; never fails."""
        if not self._routes:
            return
        try:
            rows = self._store.rows()
        except sqlite3.Error as exc:
            if not self._unread:
                log.warning("guard not read", error=str(exc))
            self._unread = True
            return
        self._unread = False
        known = {name: rows[name] for name in self._routes.keys() & rows.keys()}
        states = {n: row.state for n, row in known.items() if row.policy == self._routes[n].policy}
        for name, state in states.items():
            self._follow(name, state)
        self._states = states

    def reserve(self, settings: RouteSettings, usd: float | None) -> bool:
        """Set a comparison's calls aside, at that price; False if the budget is used up.

        Waits for the disk.
        """
        guard, route = settings.guard, self._routes[settings.name]
        if guard is None:
            return False
        granted = False

        def change(row: Row) -> Row:
            nonlocal granted
            spent = reserve(route.budget, row.spent, guard.calls, usd, self._clock())
            granted = spent is not None
            return row if spent is None else replace(row, spent=spent)

        return self._update(route, change) is not None and granted

    def settle(self, settings: RouteSettings, reserved: float, actual: float) -> None:
        """Put right what was set aside. Waits for the disk."""

        def change(row: Row) -> Row:
            return replace(row, spent=settle(row.spent, reserved, actual, self._clock()))

        self._update(self._routes[settings.name], change)

    def observe(self, settings: RouteSettings, seen: Observation) -> State | None:
        """Count a comparison; the new state, if that made the level change. Waits for the disk."""
        route = self._routes[settings.name]

        def change(row: Row) -> Row:
            return replace(row, state=observe(route.rule, row.state, seen, self._clock()))

        done = self._update(route, change)
        if done is None or done[0].state.changes == done[1].state.changes:
            return None
        _tell(route, done[0].state, done[1].state)
        return done[1].state

    def reset(self, name: str) -> None:
        """Back to the policy's own rate. Raises KeyError for a route without a guard."""
        route = self._routes[name]
        self._store.update(
            name, lambda row: replace(_of(route, row), state=reset(row.state, self._clock()))
        )

    def _state(self, settings: RouteSettings) -> State:
        return self._states.get(settings.name) or State()

    def _update(self, route: Guarded, change: Change) -> tuple[Row, Row] | None:
        """The row before and after; None if the store can't be written."""
        name = route.settings.name
        try:
            before, after = self._store.update(name, lambda row: change(_of(route, row)))
        except sqlite3.Error as exc:
            log.warning("guard not written", route=name, error=str(exc))
            return None
        before = _of(route, before)
        self._follow(name, before.state)
        self._states = {**self._states, name: after.state}
        return before, after

    def _follow(self, name: str, state: State) -> None:
        """Tell of a change that another worker decided, or of a reset."""
        if name in self._states and self._states[name].changes < state.changes:
            log.info("guard follows", route=name, level=state.level)


def _of(route: Guarded, row: Row) -> Row:
    """The row, if it is about this policy; else a new one with what was spent."""
    if row.policy == route.policy:
        return row
    return Row(policy=route.policy, spent=row.spent)


def _tell(route: Guarded, before: State, after: State) -> None:
    agreement = before.agreement
    log.warning(
        "guard raised the rate" if after.level > before.level else "guard lowered the rate",
        route=route.settings.name,
        level=after.level,
        top=route.rule.top,
        agreement=None if agreement is None else round(agreement, 3),
        samples=round(before.samples) + 1,
    )


def guarded(config: Config) -> list[Guarded]:
    """The routes that have a guard."""
    return [_guarded(config, settings) for settings in config.routes if settings.guard]


def _guarded(config: Config, settings: RouteSettings) -> Guarded:
    guard = settings.guard
    assert guard is not None  # noqa: S101 - asked before
    policy = config.policy(settings.policy)
    steps = math.ceil(max(0.0, guard.ceiling - policy.lowest_rate) / guard.step - 1e-6)
    rule = Rule(guard.floor, guard.margin, guard.min_samples, guard.cooldown_s, steps)
    what = f"{guard.step} {guard.ceiling} {guard.compare} {policy.model_dump_json()}"
    fingerprint = hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    budget = Budget(guard.budget.calls_per_hour, guard.budget.usd_per_day)
    return Guarded(settings, rule, budget, fingerprint)
