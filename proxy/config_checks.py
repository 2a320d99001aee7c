"""Checks across the parts of a configuration: names that resolve, keys that are one tenant's.

Those that stop the start read plain values and put up with broken ones, so that they run beside
the validation of each part and everything wrong is told at once. Those that only warn read the
finished configuration.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from proxy.config import Config
from proxy.config_policy import Policy
from proxy.config_routes import RouteSettings
from proxy.config_upstreams import LITELLM_ONLY, PRICES, LiteLLMParams, ModelEntry
from proxy.config_words import Finding, suggestion
from proxy.config_yaml import Place

_NO_KEY_NEEDED = frozenset(
    ("echo", "bedrock", "vertex_ai", "sagemaker", "ollama", "ollama_chat", "llamafile")
)
"""Providers that take no key, or take their credentials from elsewhere than ``api_key``."""


def names(raw: dict[str, Any]) -> Iterator[Finding]:
    """Everything that names something which is not there, or twice there."""
    yield from _extends(raw)
    yield from _routed_policies(raw)
    yield from _shared_keys(raw)
    yield from _fallbacks(raw)
    yield from _judges(raw)
    ledger = _mapping(raw.get("ledger"))
    if ledger.get("store") == "sqlite" and ledger.get("path") is None:
        yield Finding(("ledger", "path"), "is missing; give a file for the receipts")


def exposed(host: str, has_tenants: bool, allow_anonymous: bool) -> str | None:
    """Why the server may not listen there, with the remedy; None if it may."""
    if has_tenants or allow_anonymous or _is_loopback(host):
        return None
    return (
        f"{host!r} is open to the network and there are no tenants, so anyone could spend your "
        "keys; add tenants, or listen on 127.0.0.1, or set server.allow_anonymous: true"
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _extends(raw: dict[str, Any]) -> Iterator[Finding]:
    policies = _mapping(raw.get("policies"))
    parents = {name: _mapping(policy).get("extends") for name, policy in policies.items()}
    in_circle: set[str] = set()
    for name, parent in parents.items():
        place: Place = ("policies", name, "extends")
        if isinstance(parent, str) and parent not in policies:
            yield Finding(place, _no_policy(parent, policies))
        circle = _circle(name, parents)
        if circle and name not in in_circle:
            in_circle.update(circle)
            way = " -> ".join((*circle, name))
            yield Finding(place, f"goes round in a circle: {way}; let one of them extend nothing")


def _circle(name: str, parents: dict[str, Any]) -> tuple[str, ...]:
    """The policies from a name back to itself; empty if it does not come back."""
    way = [name]
    while isinstance(parent := parents.get(way[-1]), str) and parent not in way:
        way.append(parent)
    return tuple(way) if parents.get(way[-1]) == name else ()


def _routed_policies(raw: dict[str, Any]) -> Iterator[Finding]:
    policies = _mapping(raw.get("policies"))
    for index, route in enumerate(_list(raw.get("routes"))):
        policy = _mapping(route).get("policy")
        if isinstance(policy, str) and policy not in policies:
            yield Finding(("routes", index, "policy"), _no_policy(policy, policies))


def _no_policy(name: str, policies: dict[str, Any]) -> str:
    return f"there is no policy {name!r}" + suggestion(name, policies)


def _shared_keys(raw: dict[str, Any]) -> Iterator[Finding]:
    owner: dict[str, str] = {}
    for tenant, settings in _mapping(raw.get("tenants")).items():
        for index, key in enumerate(_list(_mapping(settings).get("keys"))):
            if not isinstance(key, str):
                continue
            if key in owner:
                also = (
                    "stands here twice" if owner[key] == tenant else f"is one of {owner[key]!r} too"
                )
                yield Finding(
                    ("tenants", tenant, "keys", index),
                    f"this key {also}; make one with: precis keys new {tenant}",
                )
            owner.setdefault(key, tenant)


def _fallbacks(raw: dict[str, Any]) -> Iterator[Finding]:
    known = _model_names(raw)
    entries = _list(_mapping(raw.get("router_settings")).get("fallbacks"))
    for index, entry in enumerate(entries):
        for source, targets in _mapping(entry).items():
            place: Place = ("router_settings", "fallbacks", index, source)
            if not _is_model(source, known):
                yield Finding(place, _no_model(source, known))
            for at, target in enumerate(_list(targets)):
                if isinstance(target, str) and not _is_model(target, known):
                    yield Finding((*place, at), _no_model(target, known))


def _judges(raw: dict[str, Any]) -> Iterator[Finding]:
    known = _model_names(raw)
    for index, route in enumerate(_list(raw.get("routes"))):
        judge = _mapping(_mapping(route).get("guard")).get("judge")
        if isinstance(judge, str) and not _is_model(judge, known):
            yield Finding(("routes", index, "guard", "judge"), _no_model(judge, known))


def _model_names(raw: dict[str, Any]) -> list[str]:
    return [
        name
        for entry in _list(raw.get("model_list"))
        if isinstance(name := _mapping(entry).get("model_name"), str)
    ]


def _is_model(name: str, known: list[str]) -> bool:
    return any(name == other or ("*" in other and fnmatchcase(name, other)) for other in known)


def _no_model(name: str, known: list[str]) -> str:
    return f"there is no model {name!r} in model_list" + suggestion(name, known)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def oddities(config: Config) -> Iterator[Finding]:
    """Everything that is valid and hardly meant."""
    if not config.model_list:
        yield Finding(("model_list",), "is empty: every request for a model gets 404")
    if not config.routes:
        yield Finding(("routes",), "is empty: nothing is compressed unless a header asks for it")
    yield from _models(config)
    yield from _routes(config)
    yield from _guards(config)
    yield from _policies(config)
    yield from _tenants(config)
    measured = config.calibration.model
    if measured and measured != config.compressor.model:
        what = f"{measured!r} was measured, and another one runs; run precis calibrate again"
        yield Finding(("calibration", "model"), what)
    if config.ledger.store == "memory":
        if config.ledger.path:
            yield Finding(("ledger", "path"), "has no effect; write store: sqlite beside it")
        if config.ledger.seconds is not None:
            yield Finding(("ledger", "keep"), "counts no days in memory; write store: sqlite")
    anyone = config.server.allow_anonymous and not config.tenants
    if anyone and not _is_loopback(config.server.host):
        what = "anyone who reaches the server spends your keys"
        yield Finding(("server", "allow_anonymous"), what)


def _models(config: Config) -> Iterator[Finding]:
    for index, entry in enumerate(config.model_list):
        place: Place = ("model_list", index, "litellm_params")
        params = entry.litellm_params
        yield from _extras(params, place)
        if _lacks_key(params) and config.tenants:
            yield Finding(
                (*place, "api_key"),
                f"no key, and a tenant's is never sent upstream: "
                f"calls to {entry.model_name!r} will be refused there",
            )
        yield from _wildcard(entry, place)


def _extras(params: LiteLLMParams, place: Place) -> Iterator[Finding]:
    for name in params.model_extra or {}:
        if name in PRICES:
            continue
        if name in LITELLM_ONLY:
            yield Finding((*place, name), "is a setting of LiteLLM's router; ignored here")
        elif close := difflib.get_close_matches(name, LiteLLMParams.model_fields, 1, 0.85):
            yield Finding(
                (*place, name), f"is sent to the model as a request field; did you mean {close[0]}?"
            )
    secret = params.api_key.get_secret_value() if params.api_key else ""
    if secret.startswith(("$", "env/", "environ/", "os.environ")):
        yield Finding((*place, "api_key"), "looks like a variable; write os.environ/NAME")


def _lacks_key(params: LiteLLMParams) -> bool:
    return (
        params.api_key is None
        and params.api_base is None
        and params.provider not in _NO_KEY_NEEDED
        and "authorization" not in {name.lower() for name in params.extra_headers}
    )


def _wildcard(entry: ModelEntry, place: Place) -> Iterator[Finding]:
    if "*" in entry.litellm_params.model and "*" not in entry.model_name:
        yield Finding((*place, "model"), "has a * that nothing stands for, as model_name has none")


def _routes(config: Config) -> Iterator[Finding]:
    for index, route in enumerate(config.routes):
        place: Place = ("routes", index)
        match = route.match
        if config.model_list and not _fits_a_model(match.model, config):
            yield Finding((*place, "match", "model"), f"{match.model!r} matches no model")
        if match.tenant != "*" and not any(fnmatchcase(t, match.tenant) for t in config.tenants):
            yield Finding((*place, "match", "tenant"), f"{match.tenant!r} matches no tenant")
        before = next((i for i in range(index) if _covers(config.routes[i], route)), None)
        if before is not None:
            yield Finding(place, f"is never reached: routes.{before} matches all that it matches")


def _fits_a_model(glob: str, config: Config) -> bool:
    names = {entry.model_name for entry in config.model_list}
    return any(_may_meet(glob, name) for name in names)


def _may_meet(glob: str, name: str) -> bool:
    """Whether some model can fit both: exact for a plain name, by what precedes a wildcard's *."""
    if "*" not in name:
        return fnmatchcase(name, glob)
    one, other = _literal_head(glob), _literal_head(name)
    return one.startswith(other) or other.startswith(one)


def _literal_head(glob: str) -> str:
    stops = [at for sign in "*?[" if (at := glob.find(sign)) >= 0]
    return glob[: min(stops)] if stops else glob


def _covers(earlier: RouteSettings, later: RouteSettings) -> bool:
    one, other = earlier.match, later.match
    return _wider(one.model, other.model) and _wider(one.tenant, other.tenant)


def _wider(one: str, other: str) -> bool:
    """Whether the glob surely matches all that the other does."""
    if one in ("*", other):
        return True
    if _literal_head(other) == other:
        return fnmatchcase(other, one)
    return one.endswith("*") and _literal_head(one) == one[:-1] and other.startswith(one[:-1])


def _guards(config: Config) -> Iterator[Finding]:
    for index, route in enumerate(config.routes):
        place: Place = ("routes", index, "guard")
        if route.guard is None:
            continue
        policy = config.policy(route.policy)
        if policy.target_tokens is not None or policy.threshold is not None:
            what = f"has no effect: {route.policy!r} has no rate that could be raised"
            yield Finding(place, what)
        elif policy.lowest_rate >= route.guard.ceiling:
            yield Finding((*place, "ceiling"), f"is no higher than what {route.policy!r} keeps")
        judge = route.guard.judge
        for entry in config.model_list:
            if entry.model_name == judge and _lacks_key(entry.litellm_params):
                what = f"{judge!r} has no key, and a client's is never shown to a judge"
                yield Finding((*place, "judge"), what)


def _policies(config: Config) -> Iterator[Finding]:
    for name, policy in config.policies.items():
        yield from _two_measures(policy, ("policies", name))


def _two_measures(policy: Policy, place: Place) -> Iterator[Finding]:
    given = policy.model_fields_set
    for winner in ("threshold", "target_tokens"):
        losers = {"rate", "target_tokens", "threshold"} & given - {winner}
        if winner in given and getattr(policy, winner) is not None and losers:
            what = f"has no effect beside {winner}"
            yield from (Finding((*place, loser), what) for loser in sorted(losers))
            return


def _tenants(config: Config) -> Iterator[Finding]:
    for name, settings in config.tenants.items():
        place: Place = ("tenants", name)
        if not settings.keys:
            yield Finding(place, f"has no keys; make one with: precis keys new {name}")
        for index, glob in enumerate(settings.models or ()):
            if config.model_list and not _fits_a_model(glob, config):
                yield Finding((*place, "models", index), f"{glob!r} matches no model")
        if settings.policy:
            yield from _two_measures(settings.policy, (*place, "policy"))
