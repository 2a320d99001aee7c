"""The configuration's models: overlays, what they hide, what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from proxy.config import Config
from proxy.config_frozen import is_secret
from proxy.config_policy import ADD_UP, Policy, RateStep
from proxy.config_tenants import Tenant, TenantSettings
from proxy.config_upstreams import LiteLLMParams
from proxy.errors import Forbidden

words = st.lists(st.text("abc?!", min_size=1, max_size=3), max_size=4)
patches = st.fixed_dictionaries(
    {},
    optional={
        "rate": st.sampled_from([0.1, 0.5, 1.0]),
        "target_tokens": st.sampled_from([None, 10, 1000]),
        "threshold": st.sampled_from([None, 0.2]),
        "min_tokens": st.integers(0, 1000),
        "force_tokens": words,
        "force_patterns": words.map(lambda found: [w.replace("?", "x") for w in found]),
        "protect": st.lists(st.sampled_from(["code", "json", "urls"]), max_size=3),
        "question": st.sampled_from(["auto", "all", "none"]),
    },
).map(Policy.model_validate)


@given(patches, patches)
def test_an_overlay_never_takes_a_forced_or_protected_thing_away(
    base: Policy, patch: Policy
) -> None:
    both = base.overlaid(patch)
    for name in ADD_UP:
        below, above = getattr(base, name), getattr(patch, name)
        assert set(getattr(both, name)) >= set(below)
        if name in patch.model_fields_set:
            assert set(getattr(both, name)) == set(below) | set(above)


@given(patches, patches)
def test_an_overlay_changes_only_what_it_sets(base: Policy, patch: Policy) -> None:
    both = base.overlaid(patch)
    measures = {"rate", "target_tokens", "threshold"}
    touched = patch.model_fields_set | (measures if patch.model_fields_set & measures else set())
    for name in Policy.model_fields.keys() - touched:
        assert getattr(both, name) == getattr(base, name)


@given(patches)
def test_an_overlay_with_nothing_is_the_policy_itself(base: Policy) -> None:
    assert base.overlaid(Policy()) == base


@given(patches, patches)
def test_laying_the_same_over_twice_changes_nothing_more(base: Policy, patch: Policy) -> None:
    assert base.overlaid(patch).overlaid(patch) == base.overlaid(patch)


def test_a_rate_laid_over_a_target_is_not_overruled_by_it() -> None:
    target = Policy(target_tokens=500)
    assert target.overlaid(Policy(rate=0.4)).target_tokens is None
    assert target.overlaid(Policy(min_tokens=5)).target_tokens == 500
    assert Policy(threshold=0.3).overlaid(Policy(target_tokens=9)).threshold is None


def test_a_policy_that_extends_none_replaces_the_default_lists() -> None:
    config = Config.model_validate({"policies": {"p": {"force_tokens": ["ACME"]}}})
    assert config.policy("p").force_tokens == ("ACME",)
    assert config.policy("p").protect == Policy().protect


def test_extends_adds_lists_up_along_the_whole_chain() -> None:
    policies = {
        "a": {"force_tokens": ["A"], "rate": 0.2, "deadline_ms": 7},
        "b": {"extends": "a", "force_tokens": ["B"]},
        "c": {"extends": "b", "force_tokens": ["C", "A"], "rate": 0.9},
    }
    policy = Config.model_validate({"policies": policies}).policy("c")
    assert policy.force_tokens == ("A", "B", "C")
    assert (policy.rate, policy.deadline_ms) == (0.9, 7)
    assert type(policy) is Policy


def test_rate_by_size_uses_the_last_step_that_is_passed() -> None:
    policy = Policy(rate=(RateStep(over=300, rate=0.6), RateStep(over=4000, rate=0.33)))
    assert [policy.rate_for(n) for n in (0, 300, 301, 4000, 4001)] == [1.0, 1.0, 0.6, 0.6, 0.33]
    assert Policy(rate=0.5).rate_for(1) == 0.5


@pytest.mark.parametrize(
    "bad",
    [
        {"rate": 0},
        {"rate": 1.01},
        {"rate": "nan"},
        {"rate": []},
        {"rate": [{"over": 5, "rate": 0.5}, {"over": 5, "rate": 0.4}]},
        {"force_patterns": ["("]},
        {"force_patterns": ["a{99999999999999}"]},
        {"force_tokens": [""]},
        {"protect": ["prose"]},
        {"surprise": 1},
    ],
)
def test_a_policy_refuses(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Policy.model_validate(bad)


def test_no_secret_shows_in_repr() -> None:
    entry = {
        "model_name": "m",
        "litellm_params": {
            "model": "azure/m",
            "api_key": "sk-1secret",
            "api_base": "https://me:2secret@example.org/v1",
            "aws_secret_access_key": "3secret",
            "aws_session_token": "4secret",
            "extra_headers": {"authorization": "5secret"},
            "temperature": 0.25,
        },
    }
    config = Config.model_validate({"model_list": [entry]})
    shown = repr(config) + str(config) + repr(config.model_list[0].litellm_params)
    assert "secret" not in shown.replace("aws_secret_access_key", "")
    assert "0.25" in shown


@pytest.mark.parametrize("name", ["api_key", "keys", "aws_session_token", "Authorization"])
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["force_tokens", "token_to_word", "max_tokens", "monkey", "model"])
def test_names_of_other_things_are_no_secrets(name: str) -> None:
    assert not is_secret(name)


def test_request_defaults_leave_out_what_is_for_litellms_router() -> None:
    params = LiteLLMParams.model_validate({"model": "gpt-4", "rpm": 3, "temperature": 0.1})
    assert params.defaults == {"temperature": 0.1}


def test_base_url_is_another_name_of_api_base() -> None:
    params = LiteLLMParams.model_validate({"model": "m", "base_url": "http://localhost:1/v1"})
    assert params.api_base == "http://localhost:1/v1"


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x/", "http://", "http://[::1", "http:x"])
def test_an_api_base_that_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        LiteLLMParams.model_validate({"model": "m", "api_base": url})


def test_a_key_is_taken_without_the_white_space_around_it() -> None:
    key = LiteLLMParams.model_validate({"model": "m", "api_key": " sk-a\n"}).api_key
    assert key is not None
    assert key.get_secret_value() == "sk-a"
    assert LiteLLMParams.model_validate({"model": "m", "api_key": " "}).api_key is None


@pytest.mark.parametrize(
    ("model", "provider"),
    [("echo", "echo"), ("gpt-4", "openai"), ("mistral/small", "mistral"), ("openai/a/b", "openai")],
)
def test_the_provider_stands_before_the_first_slash(model: str, provider: str) -> None:
    assert LiteLLMParams(model=model).provider == provider


def test_a_tenant_may_use_what_its_globs_match() -> None:
    tenant = Tenant("acme", TenantSettings(models=("gpt-*", "echo")))
    tenant.may_use("gpt-4")
    tenant.may_use("echo")
    with pytest.raises(Forbidden) as caught:
        tenant.may_use("claude")
    assert "gpt-*, echo" in caught.value.message
    assert caught.value.param == "model"
    Tenant("other", TenantSettings()).may_use("anything")


def test_a_tenant_with_an_empty_list_may_use_nothing() -> None:
    with pytest.raises(Forbidden):
        Tenant("acme", TenantSettings(models=())).may_use("echo")


def test_a_configuration_does_not_change() -> None:
    config = Config()
    with pytest.raises(ValidationError):
        config.server.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    "value,enabled,reserve",
    [(True, True, 0), (False, False, 0), ({"reserve_tokens": 500}, True, 500)],
)
def test_fit_to_window_is_a_yes_or_says_more(value: object, enabled: bool, reserve: int) -> None:
    fit = Policy.model_validate({"fit_to_window": value}).fit_to_window
    assert (fit.enabled, fit.reserve_tokens) == (enabled, reserve)
    assert not Policy().fit_to_window.enabled
