"""The models behind the proxy, and how to reach them. Names are LiteLLM's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, ConfigDict, Field, SecretStr, StringConstraints

from proxy.config_frozen import Frozen, is_secret

LITELLM_ONLY = frozenset(
    (
        "rpm",
        "tpm",
        "order",
        "tags",
        "max_budget",
        "budget_duration",
        "max_parallel_requests",
        "cooldown_time",
        "input_cost_per_token",
        "output_cost_per_token",
        "input_cost_per_second",
        "output_cost_per_second",
        "cache_read_input_token_cost",
        "base_model",
        "use_in_pass_through",
    )
)
"""Settings of LiteLLM's router that stand in ``litellm_params`` and are no request fields."""

PRICES = ("input_cost_per_token", "cache_read_input_token_cost", "output_cost_per_token")
"""Of LiteLLM's prices, those that we read, in ``model_info`` or ``litellm_params``."""


def _usable_key(secret: SecretStr | None) -> SecretStr | None:
    key = secret.get_secret_value().strip() if secret else ""
    if not key:
        return None
    if not (key.isascii() and key.isprintable()):
        raise ValueError("has characters that no HTTP header can hold; copy it once more")
    return SecretStr(key)


def _is_address(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("is not an address; give one such as http://localhost:8000/v1")
    return url


class LiteLLMParams(Frozen):
    """How to reach one upstream. Unknown keys are defaults for the request's own fields."""

    model_config = ConfigDict(extra="allow")

    model: Annotated[str, StringConstraints(min_length=1)]
    api_key: Annotated[SecretStr | None, AfterValidator(_usable_key)] = None
    """Without the white space around it; empty is the same as not given."""
    api_base: Annotated[str, AfterValidator(_is_address)] | None = Field(
        default=None, validation_alias=AliasChoices("api_base", "base_url")
    )
    api_version: str | None = None
    organization: str | None = None
    timeout: float | None = Field(default=None, gt=0)
    """Seconds for the whole answer; for a stream, between two chunks."""
    stream_timeout: float | None = Field(default=None, gt=0)
    max_retries: int | None = Field(default=None, ge=0)
    weight: float = Field(default=1, gt=0)
    extra_headers: dict[str, str] = Field(default={}, repr=False)

    @property
    def defaults(self) -> dict[str, Any]:
        """Request fields to add where the client did not set them (``temperature``, ...)."""
        extra = self.model_extra or {}
        return {name: value for name, value in extra.items() if name not in LITELLM_ONLY}

    @property
    def provider(self) -> str:
        """``mistral`` of ``mistral/mistral-small-latest``; a bare name is OpenAI's."""
        if self.model == "echo":
            return "echo"
        head, slash, _ = self.model.partition("/")
        return head if slash else "openai"

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            # A user and a password may stand before the @ of an address.
            hidden = is_secret(name or "") or (isinstance(value, str) and "@" in value)
            yield name, "**********" if hidden and value else value


class ModelInfo(Frozen):
    """What we know of a model beside how to reach it."""

    model_config = ConfigDict(extra="allow")

    encoding: str | None = None
    """tiktoken encoding to count with; from the model's name if not given."""
    max_input_tokens: int | None = Field(default=None, ge=1)
    """Prompt tokens that the model takes; from litellm's cost map if not given."""
    base_model: str | None = None
    """Name in LiteLLM's list of prices, if it is not the model's own."""
    input_cost_per_token: float | None = Field(default=None, ge=0)
    """Dollars; from LiteLLM's list if not given. So are the next two."""
    cache_read_input_token_cost: float | None = Field(default=None, ge=0)
    output_cost_per_token: float | None = Field(default=None, ge=0)

    @property
    def prices(self) -> dict[str, float]:
        """The prices that are given, under LiteLLM's names."""
        given = {name: getattr(self, name) for name in PRICES}
        return {name: price for name, price in given.items() if price is not None}


class ModelEntry(Frozen):
    """One upstream behind a public name. Entries of the same name share the load."""

    model_name: Annotated[str, StringConstraints(min_length=1)]
    litellm_params: LiteLLMParams
    model_info: ModelInfo = ModelInfo()


class RouterSettings(Frozen):
    """Retries, time-outs and fallbacks, under LiteLLM's names."""

    num_retries: int = Field(default=2, ge=0, le=20)
    """Tries after the first, before the first byte, on 408, 429, 5xx and failed connections."""
    retry_after: float = Field(default=0.25, ge=0)
    """Seconds before the first retry without a Retry-After header; doubles, with jitter."""
    connect_timeout: float = Field(default=5, gt=0)
    timeout: float = Field(default=600, gt=0)
    """Seconds for the whole answer, retries included; a stream may go on while chunks come."""
    stream_timeout: float = Field(default=120, gt=0)
    """Seconds between two reads of an answer."""
    sticky: bool = True
    """Whether a conversation stays with one of the entries that share its model's name."""
    fallbacks: list[dict[str, list[str]]] = Field(default=[])
    """``[{"gpt-3.5-turbo": ["mistral-small"]}]``: public names to try when one has failed."""
