"""Which policy a request gets, and in which mode. Pure, and knows nothing about HTTP."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial

from proxy.config import Config
from proxy.config_policy import PaysOver, Policy
from proxy.config_routes import Mode, Rollout, RouteSettings
from proxy.config_tenants import Allow, Tenant
from proxy.routing.asked import NOTHING, Asked, check_bypass, check_policy, with_rate

_ANYONE = Allow()
"""Without tenants a request may ask for whatever compresses less."""


@dataclass(frozen=True, slots=True)
class Route:
    """What is to be done with a request's messages."""

    policy: Policy | None
    """None if the messages go upstream untouched; ``reason`` says why."""
    name: str
    """The policy's name in the file; empty if there is none."""
    mode: Mode
    """With a ``share`` under 1, what it is for the conversations in that share."""
    reason: str = ""
    """``off`` (the mode), ``bypass`` (asked for), ``no route``, or empty."""
    model: str = field(default="", compare=False)
    """The public name that was asked for."""
    fingerprint: str = field(default="", compare=False)
    """Of the policy, as ``fingerprint_of`` makes it."""
    share: float = 1.0
    """Of the conversations, in [0, 1]; all others run in shadow."""
    raised: float = 0.0
    """By how much the quality guard has raised the rate."""
    guarded: RouteSettings | None = field(default=None, compare=False)
    """The route whose guard looks after the policy, as far as it is the route's own."""

    def at(self, opening: float) -> Route:
        """The route of the conversation that falls there in [0, 1)."""
        if opening < self.share:
            return replace(self, share=1.0)
        return replace(self, mode="shadow", share=1.0)


def fingerprint_of(policy: Policy) -> str:
    """16 hex digits that two policies share only if all their settings are the same."""
    settings = json.dumps(policy.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(settings.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Own:
    """What a route adds to its policy."""

    pays_over: PaysOver | None = None
    raised: float = 0.0
    ceiling: float = 1.0


Resolve = Callable[[str, Tenant | None, Own], tuple[Policy, str]]
"""(name of a policy, tenant, what is the route's own) -> the policy, and its fingerprint."""
Raised = Callable[[RouteSettings], float]
"""By how much a guarded route's rate is raised at the moment."""


def not_raised(settings: RouteSettings) -> float:
    """As if there were no guard."""
    return 0.0


def route(
    config: Config,
    model: str,
    tenant: Tenant | None,
    asked: Asked = NOTHING,
    raised: Raised = not_raised,
) -> Route:
    """The first matching route's policy, under the tenant's overlay and the request's wishes.

    A policy asked for by name takes the place of the route's, also where no route matches; the
    tenant's overlay lies on either. Raises BadRequest for an unknown policy and Forbidden for a
    wish that is not allowed; ``param`` names the header.
    """
    return _route(config, partial(_resolve, config), model, tenant, asked, raised)


class Router:
    """``route`` for one configuration, with every policy resolved once: a few microseconds."""

    def __init__(self, config: Config, raised: Raised = not_raised) -> None:
        self._config = config
        self._raised = raised
        # Bounded: policies, tenants, break-evens and steps are all the configuration's.
        self._resolved: dict[tuple[str, str, Own], tuple[Policy, str]] = {}

    def route(self, model: str, tenant: Tenant | None, asked: Asked = NOTHING) -> Route:
        """See the function ``route``."""
        return _route(self._config, self._policy, model, tenant, asked, self._raised)

    def _policy(self, name: str, tenant: Tenant | None, own: Own) -> tuple[Policy, str]:
        key = (name, tenant.name if tenant else "", own)
        if key not in self._resolved:
            self._resolved[key] = _resolve(self._config, name, tenant, own)
        return self._resolved[key]


def _route(
    config: Config,
    resolve: Resolve,
    model: str,
    tenant: Tenant | None,
    asked: Asked,
    raised: Raised,
) -> Route:
    matched = _first_match(config, model, tenant)
    mode, share = _careful(
        tenant.settings.mode if tenant else "enforce", matched.mode if matched else "enforce"
    )
    allow = tenant.settings.allow if tenant else _ANYONE
    if mode == "off":
        return Route(None, "", mode, "off", model)
    if asked.bypass:
        check_bypass(allow)
        return Route(None, "", mode, "bypass", model)
    if asked.policy is not None:
        check_policy(asked.policy, config.policies, allow)
    name = asked.policy or (matched.policy if matched else None)
    if name is None:
        return Route(None, "", mode, "no route", model)
    # A route's break-even and its guard are those of its own policy.
    own = _own(matched, raised) if matched and asked.policy is None else Own()
    policy, fingerprint = resolve(name, tenant, own)
    guarded = matched if matched and asked.policy is None and _has_guard(matched, policy) else None
    if asked.rate is not None:
        policy = with_rate(policy, asked.rate, allow)
        fingerprint = fingerprint_of(policy)
    return Route(policy, name, mode, "", model, fingerprint, share, own.raised, guarded)


def _own(settings: RouteSettings, raised: Raised) -> Own:
    guard = settings.guard
    if guard is None:
        return Own(settings.pays_over)
    return Own(settings.pays_over, raised(settings), guard.ceiling)


def _has_guard(settings: RouteSettings, policy: Policy) -> bool:
    """A policy that works to a token target or a threshold has no rate that could be raised."""
    by_rate = policy.target_tokens is None and policy.threshold is None
    return settings.guard is not None and by_rate


_BOLDNESS: tuple[Mode, ...] = ("off", "shadow", "enforce")


def _careful(one: Mode | Rollout, other: Mode | Rollout) -> tuple[Mode, float]:
    """The more careful of two modes, and the share of conversations that it is for."""
    modes: list[Mode] = ["enforce" if isinstance(m, Rollout) else m for m in (one, other)]
    mode = min(modes, key=_BOLDNESS.index)
    shares = [m.enforce for m in (one, other) if isinstance(m, Rollout)]
    return mode, min(shares, default=1.0) if mode == "enforce" else 1.0


def _first_match(config: Config, model: str, tenant: Tenant | None) -> RouteSettings | None:
    caller = tenant.name if tenant else ""
    for entry in config.routes:
        if fnmatchcase(model, entry.match.model) and fnmatchcase(caller, entry.match.tenant):
            return entry
    return None


def _resolve(config: Config, name: str, tenant: Tenant | None, own: Own) -> tuple[Policy, str]:
    policy = config.policy(name)
    overlay = tenant.settings.policy if tenant else None
    policy = policy.overlaid(overlay) if overlay else policy
    policy = policy.raised(own.raised, own.ceiling)
    if own.pays_over is not None:
        policy = policy.model_copy(update={"pays_over": own.pays_over})
    return policy, fingerprint_of(policy)
