"""Makes an encoder smaller before it is fitted: fewer layers, or narrower ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.nn import Linear, Module, ModuleList, Parameter
from transformers.activations import ACT2FN

from proxy.errors import ConfigError


def cut_layers(model: Any, count: int) -> None:
    """Leaves the first ``count`` layers, wherever the family keeps them."""
    whole = model.config.num_hidden_layers
    for module in model.base_model.modules():
        for name, part in module.named_children():
            if isinstance(part, ModuleList) and len(part) == whole:
                setattr(module, name, part[:count])
                model.config.num_hidden_layers = count
                return
    raise ConfigError([f"--layers: {type(model).__name__} has no list of {whole} layers to cut"])


def cut_inner(model: Any, count: int) -> None:
    """Leaves ``count`` inner units in the feed-forward part of each layer.

    Those stay whose weights in and out are the largest, by the product of their norms.
    """
    name = "hidden_dim" if hasattr(model.config, "hidden_dim") else "intermediate_size"
    whole = getattr(model.config, name, 0)
    pairs = list(_feed_forwards(model.base_model, whole))
    if not 0 < count <= whole or not pairs:
        raise ConfigError(
            [f"--inner: {type(model).__name__} has no feed-forward parts to cut to {count} units"]
        )
    for into, out in pairs:
        worth = into.weight.norm(dim=1) * out.weight.norm(dim=0)  # (units,)
        stay = worth.topk(count).indices.sort().values
        _keep(into, stay, 0)
        _keep(out, stay, 1)
    setattr(model.config, name, count)


def set_activation(config: Any, name: str) -> None:
    """Sets what the inner units do to their sums, by the name that transformers has for it."""
    field = next((one for one in ("hidden_act", "activation") if hasattr(config, one)), None)
    if field is None or name not in ACT2FN:
        raise ConfigError([f"--activation: {config.model_type} has none called {name}; try relu"])
    setattr(config, field, name)


def _feed_forwards(model: Module, inner: int) -> Iterator[tuple[Linear, Linear]]:
    """The products into the inner units and out of them, layer by layer."""
    linears = [part for part in model.modules() if isinstance(part, Linear)]
    into = [part for part in linears if part.out_features == inner != part.in_features]
    out = [part for part in linears if part.in_features == inner != part.out_features]
    if len(into) == len(out):  # gated ones have another shape
        yield from zip(into, out, strict=True)


def _keep(linear: Linear, index: torch.Tensor, axis: int) -> None:
    linear.weight = Parameter(linear.weight.detach().index_select(axis, index).clone())
    if axis == 0 and linear.bias is not None:
        linear.bias = Parameter(linear.bias.detach()[index].clone())
    linear.out_features, linear.in_features = linear.weight.shape
