"""An encoder made smaller is the encoder without what was taken out."""

from __future__ import annotations

import os

import pytest

if os.environ.get("CI") != "true":  # there a missing package is a failure
    for package in ("torch", "transformers"):
        pytest.importorskip(package, reason="training needs the extra [train]")

import torch
from transformers import AutoConfig, AutoModelForTokenClassification

from proxy.errors import ConfigError
from proxy.train import fit_shape


@pytest.mark.parametrize("family", ["distilbert", "modernbert", "roberta"])
def test_other_families_can_be_cut_to_their_first_layers(family: str) -> None:
    kinds = {"distilbert": {"n_layers": 3, "dim": 32, "n_heads": 2, "hidden_dim": 32}}
    sizes = {"num_hidden_layers": 3, "hidden_size": 32, "num_attention_heads": 2}
    usual = {**sizes, "intermediate_size": 32, "vocab_size": 40, "pad_token_id": 0}
    config = AutoConfig.for_model(family, **kinds.get(family, usual))
    model = AutoModelForTokenClassification.from_config(config)
    fit_shape.cut_layers(model, 2)
    assert model.config.num_hidden_layers == 2
    assert model(input_ids=torch.ones(1, 5, dtype=torch.long)).logits.shape == (1, 5, 2)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
def test_the_heaviest_inner_units_stay(family: str) -> None:
    sizes = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2}
    kinds = {"distilbert": {"n_layers": 2, "dim": 32, "n_heads": 2, "hidden_dim": 48}}
    config = AutoConfig.for_model(family, **kinds.get(family, sizes | {"intermediate_size": 48}))
    model = AutoModelForTokenClassification.from_config(config).eval()
    ids = torch.arange(5, 17)[None]
    before = model(input_ids=ids).logits
    feed = [part for part in model.base_model.modules() if isinstance(part, torch.nn.Linear)]
    for part in feed:  # a third of the units do nothing
        if part.in_features == 48:
            part.weight.data[:, ::3] = 0
    idle = model(input_ids=ids).logits
    assert not torch.allclose(before, idle)
    fit_shape.cut_inner(model, 32)
    assert torch.allclose(model(input_ids=ids).logits, idle, atol=1e-6)


@pytest.mark.parametrize("count", [0, 49])
def test_a_width_that_cannot_be_had_is_refused(count: int) -> None:
    config = AutoConfig.for_model("bert", hidden_size=32, num_attention_heads=2)
    config.intermediate_size = 48
    with pytest.raises(ConfigError, match="--inner"):
        fit_shape.cut_inner(AutoModelForTokenClassification.from_config(config), count)


@pytest.mark.parametrize("family,field", [("bert", "hidden_act"), ("distilbert", "activation")])
def test_another_activation(family: str, field: str) -> None:
    config = AutoConfig.for_model(family)
    fit_shape.set_activation(config, "relu")
    assert getattr(config, field) == "relu"
    with pytest.raises(ConfigError, match="none called rule"):
        fit_shape.set_activation(config, "rule")
