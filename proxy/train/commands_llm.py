"""Options of the stages that ask an LLM: where, with which key, how often, at what price."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from proxy.errors import ConfigError
from proxy.train.distill_cost import Price

BaseUrl = Annotated[
    str, typer.Option(help="An OpenAI-compatible URL (http://localhost:8000/v1); else litellm.")
]
KeyEnv = Annotated[str, typer.Option(help="Environment variable that holds the API key.")]
Temperature = Annotated[float, typer.Option(min=0.0, max=2.0)]
Concurrency = Annotated[int, typer.Option(min=1, help="Requests at the same time.")]
Retries = Annotated[int, typer.Option(min=0, help="Of a failed request.")]
Timeout = Annotated[float, typer.Option(min=1.0, help="Seconds to wait for an answer.")]
PriceIn = Annotated[float | None, typer.Option(min=0.0, help="Dollars for a million tokens in.")]
PriceOut = Annotated[float | None, typer.Option(min=0.0, help="Dollars for a million tokens out.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask before spending.")]


@dataclass(frozen=True)
class Asking:
    """The options as they were given."""

    base_url: str
    key_env: str
    temperature: float
    concurrency: int
    retries: int
    timeout: float
    price_in: float | None
    price_out: float | None

    def settings(self) -> dict[str, Any]:
        """Fields that the settings of both stages have. Raises ConfigError for what is missing."""
        return {
            "base_url": self.base_url,
            "api_key": api_key(self.key_env, self.base_url),
            "temperature": self.temperature,
            "concurrency": self.concurrency,
            "retries": self.retries,
            "timeout_s": self.timeout,
            "price": price(self.price_in, self.price_out),
        }


def api_key(variable: str, base_url: str) -> str:
    """No variable is needed where litellm finds its keys itself, or a server wants none."""
    if variable and not os.environ.get(variable):
        raise ConfigError([f"--key-env: the environment variable {variable} is not set"])
    default = "OPENAI_API_KEY" if base_url else ""
    return os.environ.get(variable or default, "")


def price(millions_in: float | None, millions_out: float | None) -> Price | None:
    """Of one token, from dollars for a million; None where neither is given."""
    if (millions_in is None) != (millions_out is None):
        raise ConfigError(["--price-in and --price-out only make sense together"])
    if millions_in is None or millions_out is None:
        return None
    return Price(millions_in / 1e6, millions_out / 1e6)
