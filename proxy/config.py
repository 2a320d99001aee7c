"""The configuration: frozen models of config.yaml, and nothing that reads a file or the environment.

``config_file.py`` turns YAML into these. Names follow LiteLLM's where its users already have them
(``model_list``, ``litellm_params``, ``router_settings``).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from proxy.types import Rules

Protect = Literal["code", "json", "urls", "numbers", "negations", "quotes", "tables", "tags"]
Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
Mode = Literal["enforce", "shadow", "off"]
Glob = Annotated[str, StringConstraints(min_length=1)]
Rate = Annotated[float, Field(gt=0, le=1)]


class Frozen(BaseModel):
    """No change after validation, no unknown keys, secrets hidden in errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True
    )


class Server(Frozen):
    """Where to listen and what to accept."""

    host: str = "127.0.0.1"
    port: int = Field(8484, ge=0, le=65535)
    allow_anonymous: bool = False
    max_body_mb: float = Field(32, gt=0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class CompressorSettings(Frozen):
    """Which classifier runs, and how."""

    model: str = "builtin"
    engine: Literal["auto", "onnx", "torch", "ray"] = "auto"
    precision: Literal["auto", "fp32", "int8", "bf16"] = "auto"
    threads: int | None = Field(None, ge=1)
    """Windows scored at the same time; the number of cores if not given."""
    max_queue_tokens: int = Field(2_000_000, ge=1)
    """Tokens waiting to be scored beyond which a request is not queued at all."""


class LiteLLMParams(Frozen):
    """How to reach one upstream. Unknown keys are defaults for the request's own fields."""

    model_config = ConfigDict(
        frozen=True, extra="allow", hide_input_in_errors=True, protected_namespaces=()
    )

    model: Annotated[str, StringConstraints(min_length=1)]
    api_key: SecretStr | None = None
    api_base: str | None = None
    api_version: str | None = None
    organization: str | None = None
    timeout: float | None = Field(None, gt=0)
    """Seconds for the whole answer; for a stream, between two chunks."""
    stream_timeout: float | None = Field(None, gt=0)
    max_retries: int | None = Field(None, ge=0)
    weight: float = Field(1, gt=0)
    extra_headers: dict[str, str] = {}

    @property
    def defaults(self) -> dict[str, Any]:
        """Request fields to add where the client did not set them (``temperature``, ...)."""
        return dict(self.model_extra or {})


class ModelInfo(Frozen):
    """What we know of a model beside how to reach it."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    encoding: str | None = None
    """tiktoken encoding to count with; from the model's name if not given."""


class ModelEntry(Frozen):
    """One upstream behind a public name. Entries of the same name share the load."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, protected_namespaces=()
    )

    model_name: Annotated[str, StringConstraints(min_length=1)]
    litellm_params: LiteLLMParams
    model_info: ModelInfo = ModelInfo(encoding=None)


class RouterSettings(Frozen):
    """Retries, time-outs and fallbacks, under LiteLLM's names."""

    num_retries: int = Field(2, ge=0, le=20)
    """Tries after the first, before the first byte, on 408, 429, 5xx and failed connections."""
    retry_after: float = Field(0.25, ge=0)
    """Seconds before the first retry without a Retry-After header; doubles, with jitter."""
    connect_timeout: float = Field(5, gt=0)
    timeout: float = Field(600, gt=0)
    """Seconds for the whole answer, retries included; a stream may go on while chunks come."""
    stream_timeout: float = Field(120, gt=0)
    """Seconds between two reads of an answer."""
    fallbacks: list[dict[str, list[str]]] = []
    """``[{"gpt-3.5-turbo": ["mistral-small"]}]``: public names to try when one has failed."""


class RateStep(Frozen):
    """One step of a rate by size: texts of more than ``over`` tokens get ``rate``."""

    over: int = Field(ge=0)
    rate: Rate


class Policy(Frozen):
    """What to compress and how far. Defaults are those of a route without settings."""

    rate: Rate | tuple[RateStep, ...] = 0.5
    target_tokens: int | None = Field(None, ge=1)
    threshold: float | None = Field(None, ge=0, le=1)
    min_tokens: int = Field(300, ge=0)
    roles: tuple[Role, ...] = ("user", "tool")
    question: Literal["auto", "all", "none"] = "auto"
    force_tokens: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = (
        "\n",
        "?",
        "!",
        ".",
    )
    force_patterns: tuple[str, ...] = ()
    force_reserve_digit: bool = True
    drop_consecutive: bool = False
    chunk_end_tokens: tuple[str, ...] = (".", "\n")
    token_to_word: Literal["mean", "first"] = "mean"
    budget: Literal["global", "window"] = "global"
    protect: tuple[Protect, ...] = (
        "code",
        "json",
        "urls",
        "numbers",
        "negations",
        "quotes",
        "tables",
        "tags",
    )
    on_error: Literal["pass", "fail"] = "pass"
    deadline_ms: int = Field(2000, ge=1)

    @field_validator("force_patterns")
    @classmethod
    def _patterns_compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as exc:
                raise ValueError(f"{pattern!r} is not a regular expression: {exc}") from exc
        return patterns

    @field_validator("rate")
    @classmethod
    def _steps_ascend(cls, rate: float | tuple[RateStep, ...]) -> float | tuple[RateStep, ...]:
        if isinstance(rate, tuple):
            if not rate:
                raise ValueError("a list of rates needs at least one {over, rate}")
            overs = [step.over for step in rate]
            if overs != sorted(set(overs)):
                raise ValueError("'over' must grow from one step to the next")
        return rate

    def rate_for(self, tokens: int) -> float:
        """The rate for a text of that many tokens; 1.0 below the first step."""
        if not isinstance(self.rate, tuple):
            return self.rate
        reached = [step.rate for step in self.rate if tokens > step.over]
        return reached[-1] if reached else 1.0

    @property
    def rules(self) -> Rules:
        """The part of the policy that the compressor needs."""
        return Rules(
            force_tokens=self.force_tokens,
            force_patterns=self.force_patterns,
            force_reserve_digit=self.force_reserve_digit,
            drop_consecutive=self.drop_consecutive,
            chunk_end_tokens=self.chunk_end_tokens,
            token_to_word=self.token_to_word,
            threshold=self.threshold,
            budget=self.budget,
        )

    def overlaid(self, patch: Policy) -> Policy:
        """This policy with the fields that ``patch`` sets; lists marked force/protect add up."""
        update: dict[str, Any] = {name: getattr(patch, name) for name in patch.model_fields_set}
        for name in ("force_tokens", "force_patterns", "protect"):
            if name in update:
                update[name] = tuple(dict.fromkeys((*getattr(self, name), *update[name])))
        return self.model_copy(update=update)


class NamedPolicy(Policy):
    """A policy as the file writes it: it may extend another."""

    extends: str | None = None


class Match(Frozen):
    """Globs that a request must match, all of them."""

    model: Glob = "*"
    tenant: Glob = "*"


class Route(Frozen):
    """First match wins; a request that matches none is forwarded untouched."""

    match: Match = Match()
    policy: str


class Allow(Frozen):
    """What a tenant's requests may ask for by header."""

    bypass: bool = True
    policies: tuple[Glob, ...] = ("*",)
    rate: Literal["none", "gentler", "any"] = "gentler"


class TenantSettings(Frozen):
    """Who may call, what for, and how their prompts are treated."""

    keys: tuple[Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")], ...] = ()
    models: tuple[Glob, ...] | None = None
    """Globs of public model names; all of them if not given."""
    policy: Policy | None = None
    mode: Mode = "enforce"
    allow: Allow = Allow()


class Config(Frozen):
    """All of config.yaml."""

    server: Server = Server()  # type: ignore[call-arg]  # defaults come from Field
    compressor: CompressorSettings = CompressorSettings()  # type: ignore[call-arg]  # same
    model_list: tuple[ModelEntry, ...] = ()
    router_settings: RouterSettings = RouterSettings()  # type: ignore[call-arg]  # same
    policies: dict[str, NamedPolicy] = {}
    routes: tuple[Route, ...] = ()
    tenants: dict[str, TenantSettings] = {}

    def policy(self, name: str) -> Policy:
        """The named policy with what it extends laid under it. Raises KeyError if unknown."""
        named = self.policies[name]
        own = named.model_dump(include=named.model_fields_set - {"extends"}, round_trip=True)
        patch = Policy.model_validate(own)
        return self.policy(named.extends).overlaid(patch) if named.extends else patch

    @model_validator(mode="after")
    def _names_resolve(self) -> Self:
        for name, policy in self.policies.items():
            seen = [name]
            while policy.extends:
                if policy.extends not in self.policies:
                    raise ValueError(f"policies.{seen[-1]}.extends: no policy {policy.extends!r}")
                if policy.extends in seen:
                    raise ValueError(f"policies.{name}.extends: goes round in a circle")
                seen.append(policy.extends)
                policy = self.policies[policy.extends]
        for index, route in enumerate(self.routes):
            if route.policy not in self.policies:
                raise ValueError(f"routes.{index}.policy: no policy {route.policy!r}")
        return self
