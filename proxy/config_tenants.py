"""Who may call, what for, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import AliasChoices, Field

from proxy.config_frozen import Frozen, Glob, KeyHash
from proxy.config_policy import Policy
from proxy.config_routes import ModeSetting
from proxy.errors import Forbidden


class Allow(Frozen):
    """What a tenant's requests may ask for by header."""

    bypass: bool = True
    policies: tuple[Glob, ...] = ("*",)
    rate: Literal["none", "gentler", "any"] = "gentler"


class Limits(Frozen):
    """What a tenant may use, over all workers; LiteLLM's names are understood too."""

    rpm: int | None = Field(default=None, ge=1, validation_alias=AliasChoices("rpm", "rpm_limit"))
    """Requests per minute."""
    tpm: int | None = Field(default=None, ge=1, validation_alias=AliasChoices("tpm", "tpm_limit"))
    """Tokens per minute: prompts as they go upstream, and answers that tell how many they have."""
    max_parallel: int | None = Field(
        default=None,
        ge=1,
        validation_alias=AliasChoices("max_parallel", "max_parallel_requests"),
    )
    """Requests under way at the same time."""


class TenantSettings(Frozen):
    """Who may call, what for, and how their prompts are treated."""

    keys: tuple[KeyHash, ...] = Field(default=(), repr=False)
    models: tuple[Glob, ...] | None = None
    """Globs of public model names; all of them if not given."""
    policy: Policy | None = None
    mode: ModeSetting = "enforce"
    allow: Allow = Allow()
    limits: Limits | None = None


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant by its name, as a request carries it from stage to stage."""

    name: str
    settings: TenantSettings

    def sees(self, model: str) -> bool:
        """Whether its allow-list has the public model name."""
        globs = self.settings.models
        return globs is None or any(fnmatchcase(model, glob) for glob in globs)

    def may_use(self, model: str) -> None:
        """Raise Forbidden (403) if the allow-list does not have the public model name."""
        if not self.sees(model):
            allowed = ", ".join(self.settings.models or ()) or "none"
            raise Forbidden(
                f"This key may not use the model {model[:100]!r}. Models it may use: {allowed}.",
                code="model_not_allowed",
                param="model",
            )
