"""What a model's tokens cost, and how many it takes: the configuration's word, else litellm's list.

The list is a file in litellm's wheel; litellm itself is never imported here.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from proxy.config_upstreams import PRICES, ModelEntry

_FILE = "model_prices_and_context_window_backup.json"


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for one token."""

    input: float
    cached: float
    """Of the prompt, where the provider's cache has it."""
    output: float


class _Listed(msgspec.Struct):
    """One model of the list, as far as we read it."""

    input_cost_per_token: float | None = None
    cache_read_input_token_cost: float | None = None
    output_cost_per_token: float | None = None
    max_input_tokens: Any = None
    """Tokens of a prompt; a number where the list is not explaining itself."""


def price_of(entry: ModelEntry) -> Price | None:
    """What the entry's model costs; None if nobody knows.

    ``model_info`` wins over ``litellm_params``, where LiteLLM's users write prices too, and either
    over the list, which is asked for ``model_info.base_model`` or the model's own name.
    """
    listed = _listed(entry)
    given = {**(entry.litellm_params.model_extra or {}), **entry.model_info.prices}
    values = [_number(given.get(name, getattr(listed, name))) for name in PRICES]
    asked, cached, answered = values
    if asked is None:
        return None
    return Price(asked, asked if cached is None else cached, answered or 0.0)


def input_limit_of(entry: ModelEntry) -> int | None:
    """Tokens that a prompt for the entry's model may have; None if nobody knows."""
    listed = _number(_listed(entry).max_input_tokens)
    return entry.model_info.max_input_tokens or (int(listed) if listed else None)


def _listed(entry: ModelEntry) -> _Listed:
    name = entry.model_info.base_model or entry.litellm_params.model
    table = _table()
    return table.get(name) or table.get(name.partition("/")[2]) or _Listed()


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


@functools.cache
def _table() -> Mapping[str, _Listed]:
    found = importlib.util.find_spec("litellm")
    file = Path(found.origin).parent / _FILE if found and found.origin else None
    if file is None or not file.is_file():
        return {}
    return msgspec.json.decode(file.read_bytes(), type=dict[str, _Listed])
