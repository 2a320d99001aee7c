"""Public model names and the entries behind them."""

from __future__ import annotations

import pytest

from proxy.config import Config
from proxy.config_tenants import Tenant, TenantSettings
from proxy.errors import NotFound
from proxy.routing import Entries


def entries(*pairs: tuple[str, str]) -> Entries:
    listed = [{"model_name": name, "litellm_params": {"model": model}} for name, model in pairs]
    return Entries(Config.model_validate({"model_list": listed}))


def upstreams(found: Entries, model: str) -> list[str]:
    return [entry.litellm_params.model for entry in found.find(model)]


def test_entries_of_one_name_are_found_together_in_order() -> None:
    found = entries(("gpt", "openai/a"), ("echo", "echo"), ("gpt", "azure/b"))
    assert upstreams(found, "gpt") == ["openai/a", "azure/b"]
    assert found.names() == ("gpt", "echo")


def test_a_wildcard_passes_on_what_it_stands_for() -> None:
    found = entries(("openai/*", "openai/*"))
    (entry,) = found.find("openai/gpt-4o")
    assert entry.litellm_params.model == "openai/gpt-4o"
    assert entry.model_name == "openai/gpt-4o"


def test_a_bare_star_stands_for_every_name() -> None:
    assert upstreams(entries(("*", "mistral/*")), "small") == ["mistral/small"]


def test_a_wildcard_may_lead_to_one_fixed_model() -> None:
    assert upstreams(entries(("mine/*", "openai/gpt-4")), "mine/anything") == ["openai/gpt-4"]


def test_exact_names_win_and_then_the_longer_wildcard() -> None:
    found = entries(("*", "a/*"), ("openai/*", "b/*"), ("openai/gpt-4", "c/exact"))
    assert upstreams(found, "openai/gpt-4") == ["c/exact"]
    assert upstreams(found, "openai/gpt-5") == ["b/gpt-5"]
    assert upstreams(found, "other") == ["a/other"]


def test_a_wildcard_stands_for_at_least_one_character() -> None:
    with pytest.raises(NotFound):
        entries(("openai/*", "openai/*")).find("openai/")


def test_the_key_goes_with_a_wildcards_entry() -> None:
    params = {"model": "openai/*", "api_key": "sk-a"}
    config = {"model_list": [{"model_name": "openai/*", "litellm_params": params}]}
    (entry,) = Entries(Config.model_validate(config)).find("openai/x")
    assert entry.litellm_params.api_key is not None


def test_an_unknown_model_is_answered_with_those_that_the_tenant_sees() -> None:
    found = entries(("gpt", "openai/a"), ("secret-model", "openai/b"))
    with pytest.raises(NotFound) as caught:
        found.find("gtp", Tenant("acme", TenantSettings(models=("gpt",))))
    assert caught.value.message == "The model 'gtp' does not exist here. There are: gpt."
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_long_wrong_name_makes_no_long_answer() -> None:
    with pytest.raises(NotFound) as caught:
        entries(("gpt", "openai/a")).find("x" * 100_000)
    assert len(caught.value.message) < 300
