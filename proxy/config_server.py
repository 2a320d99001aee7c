"""How this server runs: where it listens, and where it keeps its receipts."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from proxy.config_frozen import Frozen, KeyHash


class Server(Frozen):
    """Where to listen and what to accept."""

    host: str = "127.0.0.1"
    port: int = Field(default=8484, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=256)
    """Processes that serve side by side; each loads the classifier."""
    allow_anonymous: bool = False
    max_body_mb: float = Field(default=32, gt=0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_key: KeyHash | None = Field(default=None, repr=False)
    """Hash of the key that /metrics asks for (``Authorization: Bearer KEY``); none by default."""


_DAYS = re.compile(r"(\d+(?:\.\d+)?) ?(?:d|days?)")


def _is_number_or_days(keep: object) -> object:
    good = isinstance(keep, int) and not isinstance(keep, bool) and keep >= 1
    if good or (isinstance(keep, str) and _DAYS.fullmatch(keep)):
        return keep
    raise ValueError("is neither a number of receipts nor of days; give 10000, or 7 days")


class LedgerSettings(Frozen):
    """Where receipts are kept, and how many."""

    store: Literal["memory", "sqlite"] = "memory"
    """``sqlite``: one file that all workers share; it outlives them."""
    path: Annotated[str, StringConstraints(min_length=1)] | None = None
    """The file of ``sqlite``."""
    keep: Annotated[int | str, BeforeValidator(_is_number_or_days)] = 10_000
    """The latest so many, or those of the last ``7 days``."""
    max_mb: float = Field(default=512, gt=0)
    """Size of the file from which the oldest go, whatever ``keep`` says."""

    @property
    def count(self) -> int | None:
        """The number of receipts to keep; None if days are counted."""
        return self.keep if isinstance(self.keep, int) else None

    @property
    def seconds(self) -> float | None:
        """Their greatest age; None if a number is kept."""
        days = _DAYS.fullmatch(self.keep) if isinstance(self.keep, str) else None
        return 86400 * float(days[1]) if days else None
