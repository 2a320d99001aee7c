"""Prices: the configuration's word first, then litellm's list, and nothing made up."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from proxy.config_upstreams import ModelEntry
from proxy.prices import Price, input_limit_of, price_of


def price(model: str, info: dict[str, Any] | None = None, **params: Any) -> Price | None:
    entry = {"model_name": "m", "litellm_params": {"model": model, **params}}
    return price_of(ModelEntry.model_validate({**entry, "model_info": info or {}}))


def test_the_list_knows_models_with_and_without_their_provider() -> None:
    assert price("openai/gpt-3.5-turbo") == price("gpt-3.5-turbo") == Price(5e-7, 5e-7, 1.5e-6)
    mini = price("openai/gpt-4o-mini")
    assert mini is not None and mini.cached == mini.input / 2
    assert price("mistral/mistral-small-latest") is not None


@pytest.mark.parametrize("model", ["echo", "openai/my-own-model", "hosted_vllm/x"])
def test_what_nobody_knows_has_no_price(model: str) -> None:
    assert price(model, api_base="http://localhost:1/v1") is None


def test_the_configuration_wins_and_model_info_before_litellm_params() -> None:
    info = {"input_cost_per_token": 1e-6, "cache_read_input_token_cost": 1e-7}
    assert price("gpt-3.5-turbo", info) == Price(1e-6, 1e-7, 1.5e-6)
    assert price("x/own", input_cost_per_token=2e-6) == Price(2e-6, 2e-6, 0.0)
    found = price("x/own", info, input_cost_per_token=2e-6)
    assert found is not None and found.input == 1e-6


def test_a_deployment_is_looked_up_by_its_base_model() -> None:
    assert price("azure/my-deployment", {"base_model": "gpt-3.5-turbo"}) == price("gpt-3.5-turbo")


def test_litellm_is_not_imported_for_it() -> None:
    code = (
        "import sys; from tests.test_prices import price; assert price('gpt-3.5-turbo');"
        "assert 'litellm' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def limit(model: str, info: dict[str, Any] | None = None) -> int | None:
    entry = {"model_name": "m", "litellm_params": {"model": model}, "model_info": info or {}}
    return input_limit_of(ModelEntry.model_validate(entry))


def test_limits_of_prompts_are_known_too() -> None:
    assert limit("gpt-3.5-turbo") == limit("openai/gpt-3.5-turbo") == 16385
    assert limit("mine", {"base_model": "gpt-3.5-turbo"}) == 16385
    assert limit("gpt-3.5-turbo", {"max_input_tokens": 900}) == 900
    assert limit("openai/made-up") is limit("sample_spec") is None
