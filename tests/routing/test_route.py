"""First match, overlay, wishes: which policy a request gets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import Config
from proxy.config_policy import Policy, RateStep
from proxy.config_tenants import Tenant, TenantSettings
from proxy.errors import BadRequest, CallerError, Forbidden
from proxy.routing import Asked, Route, Router, route

RULES: dict[str, Any] = {
    "policies": {
        "default": {"rate": 0.5},
        "rag": {
            "extends": "default",
            "rate": [{"over": 300, "rate": 0.6}, {"over": 4000, "rate": 0.3}],
            "force_patterns": ["ERR"],
        },
        "target": {"target_tokens": 1000},
    },
    "routes": [
        {"match": {"model": "gpt-3.5*"}, "policy": "rag"},
        {"match": {"model": "short", "tenant": "acme"}, "policy": "target"},
        {"match": {"model": "[ms]*"}, "policy": "default"},
    ],
    "tenants": {
        "acme": {"policy": {"rate": 0.4, "force_tokens": ["ACME"]}},
        "shadow": {"mode": "shadow"},
        "off": {"mode": "off"},
        "strict": {"allow": {"bypass": False, "policies": ["rag"], "rate": "none"}},
        "free": {"allow": {"rate": "any"}},
    },
}
CONFIG = Config.model_validate(RULES)


def tenant(name: str) -> Tenant:
    return Tenant(name, CONFIG.tenants[name])


def policy_of(found: Route) -> Policy:
    assert found.policy is not None
    return found.policy


def test_the_first_matching_route_decides() -> None:
    assert route(CONFIG, "gpt-3.5-turbo", None).name == "rag"
    assert route(CONFIG, "mistral", None).name == "default"


def test_globs_mind_upper_and_lower_case() -> None:
    assert route(CONFIG, "GPT-3.5-turbo", None).policy is None


def test_a_route_for_a_tenant_is_passed_over_by_others() -> None:
    assert route(CONFIG, "short", tenant("acme")).name == "target"
    assert route(CONFIG, "short", tenant("free")).name == "default"
    assert route(CONFIG, "short", None).name == "default"


def test_no_route_means_untouched() -> None:
    assert route(CONFIG, "claude", None) == Route(None, "", "enforce", "no route")


def test_the_tenants_overlay_lies_on_the_routes_policy() -> None:
    policy = policy_of(route(CONFIG, "gpt-3.5", tenant("acme")))
    assert policy.rate == 0.4
    assert "ACME" in policy.force_tokens
    assert set(policy.force_tokens) > set(Policy().force_tokens)
    assert policy.force_patterns == ("ERR",)


def test_the_tenants_rate_replaces_a_routes_target() -> None:
    assert policy_of(route(CONFIG, "short", tenant("acme"))).target_tokens is None


def test_modes() -> None:
    assert route(CONFIG, "mistral", tenant("shadow")).mode == "shadow"
    assert route(CONFIG, "mistral", tenant("shadow")).policy is not None
    assert route(CONFIG, "mistral", tenant("off")) == Route(None, "", "off", "off")
    assert route(CONFIG, "m", tenant("off"), Asked(policy="rag")).reason == "off"


@pytest.mark.parametrize(
    "of_tenant,of_route,mode,share",
    [
        ("enforce", {"enforce": "10%"}, "enforce", 0.1),
        ({"enforce": 0.25}, "enforce", "enforce", 0.25),
        ({"enforce": 0.25}, {"enforce": "12.5 %"}, "enforce", 0.125),
        ("shadow", {"enforce": 0.5}, "shadow", 1),
        ("enforce", "shadow", "shadow", 1),
        ("enforce", "off", "off", 1),
        ("off", {"enforce": 1}, "off", 1),
    ],
)
def test_of_two_modes_the_more_careful_holds(
    of_tenant: Any, of_route: Any, mode: str, share: float
) -> None:
    config = Config.model_validate(
        {"policies": {"p": {}}, "routes": [{"policy": "p", "mode": of_route}]}
    )
    who = Tenant("t", TenantSettings.model_validate({"mode": of_tenant}))
    found = route(config, "m", who)
    assert (found.mode, found.share) == (mode, share)


def test_a_share_decides_by_where_the_conversation_falls() -> None:
    some = Route(Policy(), "p", "enforce", share=0.1)
    assert [some.at(where).mode for where in (0.0, 0.099, 0.1, 0.9)] == [
        "enforce", "enforce", "shadow", "shadow"
    ]  # fmt: skip


def test_bypass() -> None:
    assert route(CONFIG, "mistral", None, Asked(bypass=True)).reason == "bypass"
    with pytest.raises(Forbidden) as caught:
        route(CONFIG, "mistral", tenant("strict"), Asked(bypass=True))
    assert caught.value.param == "x-precis-bypass"


def test_a_policy_asked_for_replaces_the_routes_also_where_there_is_none() -> None:
    assert route(CONFIG, "mistral", None, Asked(policy="rag")).name == "rag"
    assert route(CONFIG, "claude", None, Asked(policy="rag")).name == "rag"


def test_the_tenants_overlay_lies_on_a_policy_asked_for_too() -> None:
    policy = policy_of(route(CONFIG, "m", tenant("acme"), Asked(policy="target")))
    assert "ACME" in policy.force_tokens


def test_an_unknown_policy_is_a_bad_request_that_names_the_known() -> None:
    with pytest.raises(BadRequest) as caught:
        route(CONFIG, "mistral", None, Asked(policy="rga"))
    assert "'rga'" in caught.value.message
    assert "default, rag, target" in caught.value.message
    assert caught.value.param == "x-precis-policy"


def test_a_policy_that_is_not_allowed_looks_the_same_whether_or_not_it_exists() -> None:
    answers = set()
    for name in ("default", "nothere"):
        with pytest.raises(Forbidden) as caught:
            route(CONFIG, "mistral", tenant("strict"), Asked(policy=name))
        answers.add(caught.value.message.replace(name, "X"))
    assert answers == {"This key may not ask for the policy 'X'. It may ask for: rag."}
    assert route(CONFIG, "mistral", tenant("strict"), Asked(policy="rag")).name == "rag"


def test_a_gentler_rate_is_taken() -> None:
    assert policy_of(route(CONFIG, "mistral", None, Asked(rate=0.7))).rate == 0.7
    assert policy_of(route(CONFIG, "mistral", None, Asked(rate=0.5))).rate == 0.5


def test_a_harsher_rate_is_forbidden_and_told_what_would_do() -> None:
    with pytest.raises(Forbidden) as caught:
        route(CONFIG, "mistral", None, Asked(rate=0.49))
    assert "0.5 up to 1" in caught.value.message
    assert caught.value.param == "x-precis-rate"


def test_a_rate_over_steps_raises_only_those_below_it() -> None:
    policy = policy_of(route(CONFIG, "gpt-3.5", None, Asked(rate=0.45)))
    assert policy.rate == (RateStep(over=300, rate=0.6), RateStep(over=4000, rate=0.45))
    assert policy.rate_for(200) == 1.0


def test_no_rate_where_none_is_allowed() -> None:
    with pytest.raises(Forbidden):
        route(CONFIG, "mistral", tenant("strict"), Asked(rate=1.0))


def test_any_rate_replaces_rate_steps_and_target() -> None:
    assert policy_of(route(CONFIG, "gpt-3.5", tenant("free"), Asked(rate=0.1))).rate == 0.1
    policy = policy_of(route(CONFIG, "m", tenant("free"), Asked(policy="target", rate=0.2)))
    assert (policy.rate, policy.target_tokens) == (0.2, None)


def test_a_rate_cannot_be_gentler_than_a_target() -> None:
    with pytest.raises(Forbidden):
        route(CONFIG, "m", None, Asked(policy="target", rate=0.9))


def test_a_rate_without_a_policy_changes_nothing() -> None:
    assert route(CONFIG, "claude", None, Asked(rate=0.9)).reason == "no route"


requests = st.tuples(
    st.sampled_from(["gpt-3.5", "mistral", "short", "claude", ""]),
    st.sampled_from([None, *CONFIG.tenants]),
    st.builds(
        Asked,
        bypass=st.booleans(),
        policy=st.sampled_from([None, "default", "rag", "target", "none"]),
        rate=st.sampled_from([None, 0.1, 0.45, 0.9, 1.0]),
    ),
)


def outcome(router: Router | None, model: str, name: str | None, asked: Asked) -> object:
    caller = tenant(name) if name else None
    try:
        if router is None:
            return route(CONFIG, model, caller, asked)
        return router.route(model, caller, asked)
    except CallerError as exc:
        return (type(exc), exc.message, exc.param)


@given(st.lists(requests, max_size=8))
def test_the_prepared_router_agrees_with_the_plain_function(
    many: list[tuple[str, str | None, Asked]],
) -> None:
    router = Router(CONFIG)
    for request in (*many, *many):
        assert outcome(router, *request) == outcome(None, *request)


@given(requests)
def test_under_gentler_no_text_keeps_less_than_the_policy_alone_would(
    request: tuple[str, str | None, Asked],
) -> None:
    model, name, asked = request
    plain = Asked(policy=asked.policy)
    if name in ("free", "strict"):
        return
    with_rate = outcome(None, model, name, Asked(policy=asked.policy, rate=asked.rate))
    without = outcome(None, model, name, plain)
    if isinstance(with_rate, Route) and isinstance(without, Route) and with_rate.policy:
        assert without.policy is not None
        for tokens in (1, 301, 4001, 100_000):
            assert with_rate.policy.rate_for(tokens) >= without.policy.rate_for(tokens)
