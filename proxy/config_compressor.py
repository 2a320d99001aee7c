"""Which classifier runs, where its work is cached, and what was measured of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from proxy.config_frozen import Frozen


class CacheSettings(Frozen):
    """Where scores and results are kept, so that nothing is computed twice."""

    memory_mb: float = Field(default=16, ge=0)
    """Memory of each worker: half for scores, half for what came of whole messages."""
    store: Literal["sqlite", "redis", "none"] = "sqlite"
    """What workers share and a restart leaves alone: a file, a server, or nothing."""
    path: str | None = None
    """The file of ``sqlite``; in the user's cache directory if not given."""
    url: Annotated[SecretStr | None, Field(validate_default=True)] = None
    """The server of ``redis``, as in ``redis://host:6379/0``."""
    scope: Literal["tenant", "shared"] = "tenant"
    """Whose scores a request may meet: its own tenant's, so that timing tells nothing, or all."""
    max_mb: float = Field(default=256, gt=0)
    """Size of the store, about; what was not used for longest goes first."""
    ttl_hours: float = Field(default=168, gt=0)
    """Hours that an entry stays in ``redis``."""
    timeout_ms: int = Field(default=50, ge=1)
    """How long the store may take to answer before scores are computed instead."""

    @field_validator("url")
    @classmethod
    def _goes_with_redis(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        redis = info.data.get("store") == "redis"
        if redis and url is None:
            raise ValueError(
                "is not enough for store: redis; give an address such as redis://host:6379/0"
            )
        if url is not None and not redis:
            raise ValueError("is for store: redis alone; set that, or leave the url out")
        scheme = url.get_secret_value().partition("://")[0] if url else "redis"
        if scheme not in ("redis", "rediss", "unix"):
            raise ValueError("is no address of Redis; give one such as redis://host:6379/0")
        return url

    @property
    def on(self) -> bool:
        """Whether anything is kept at all."""
        return self.memory_mb > 0 or self.store != "none"


class Calibration(Frozen):
    """What ``precis calibrate`` measured, and what it reckons with."""

    value_of_time: float = Field(default=5, ge=0)
    """Dollars that an hour of waiting for an answer costs: the user's time, or a batch's."""
    prefill_tokens_per_second: float = Field(default=10_000, gt=0)
    """How fast the upstream reads a prompt."""
    model: str = ""
    """The classifier that was measured."""
    tokens_per_second: float | None = Field(default=None, gt=0)
    """How fast it reads on this device, in the upstream's tokens."""
    fixed_ms: float = Field(default=0, ge=0)
    """What each text takes besides."""
    measured: str = ""
    """The day."""


class CompressorSettings(Frozen):
    """Which classifier runs, and how."""

    model: str = "builtin"
    engine: Literal["auto", "onnx", "torch", "ray"] = "auto"
    precision: Literal["auto", "fp32", "int8", "bf16"] = "auto"
    threads: int | None = Field(default=None, ge=1)
    """Windows scored at the same time; the number of cores if not given."""
    max_queue_tokens: int = Field(default=2_000_000, ge=1)
    """Tokens waiting to be scored beyond which a request is not queued at all."""
    cache: CacheSettings = CacheSettings()
