"""What distillation costs: prices a token, the estimate before, the sum after.

Prices come from the map of costs that litellm's wheel carries, read as a file, because importing
litellm takes seconds; or from the caller.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

EXPECTED_SHARE = 0.4
"""Of a chunk's tokens that a teacher leaves: the paper's GPT-4 left about a third."""
_PRICES = "model_prices_and_context_window_backup.json"


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for one token that goes in and one that comes out."""

    token_in: float
    token_out: float

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """Dollars for so many tokens."""
        return tokens_in * self.token_in + tokens_out * self.token_out


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is about to be asked of the teacher; ``price`` is None where it is not known."""

    chunks: int
    done: int
    """Chunks that an earlier run has paid for."""
    tokens_in: int
    """The instruction with every chunk."""
    tokens_out: int
    """At most, as an answer only deletes; reasoning models write more."""
    price: Price | None

    def sentence(self) -> str:
        """For a person who is about to say yes or no."""
        ask = f"{self.chunks:,} chunks to ask for"
        if self.done:
            ask += f" ({self.done:,} are done)"
        ask += f": {self.tokens_in:,} tokens in, at most {self.tokens_out:,} out"
        if self.price is None:
            return f"{ask}; price unknown (--price-in and --price-out tell it)"
        likely = self.price.of(self.tokens_in, self.tokens_out * EXPECTED_SHARE)
        most = self.price.of(self.tokens_in, self.tokens_out)
        return f"{ask}; about ${likely:,.4f}, at most ${most:,.4f}"


def find_price(model: str) -> Price | None:
    """The price of ``model`` with or without its provider's prefix, from litellm's map."""
    path = _map()
    if path is None:
        return None
    prices = json.loads(path.read_bytes())
    for name in (model, model.rsplit("/", 1)[-1]):
        entry = prices.get(name, {})
        if "input_cost_per_token" in entry and "output_cost_per_token" in entry:
            return Price(entry["input_cost_per_token"], entry["output_cost_per_token"])
    return None


def _map() -> Path | None:
    found = importlib.util.find_spec("litellm")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).with_name(_PRICES)
    return path if path.is_file() else None
