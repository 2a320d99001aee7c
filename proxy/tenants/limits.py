"""What each tenant may use per minute and at once, counted over all workers of the server.

A request is let in when it comes and charged for its prompt then, by its size; when it ends the
charge is put right by what the provider's answer says, or else by our count of what was sent.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from proxy.config_tenants import Limits, Tenant, TenantSettings
from proxy.errors import LimitError
from proxy.tenants.bucket import Bucket
from proxy.tenants.table import Table

_BYTES = 4
"""Bytes of a body that count as a token until somebody has counted."""
_REQUESTS, _TOKENS, _UNDER_WAY = 0, 1, 2
"""Columns: when each bucket is full again, and from there on the requests of each worker."""

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Admission:
    """A request that was let in, until it has left."""

    row: int
    limits: Limits
    charged: int
    """Tokens taken for it."""
    headers: Headers
    """``x-ratelimit-...``, as OpenAI names them."""


class Gatekeeper:
    """Lets requests of tenants with limits in, or says when to come again."""

    def __init__(
        self,
        tenants: Mapping[str, TenantSettings],
        *,
        file: Path | None = None,
        worker: int = 0,
        workers: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``file`` is shared by all ``workers``; this is the one of that number."""
        self._rows = {name: at for at, name in enumerate(sorted(tenants))}
        self._table = Table(len(self._rows), _UNDER_WAY + workers, file)
        self._worker = _UNDER_WAY + worker
        self._clock = clock
        for at in self._rows.values():  # what a worker before this one left behind
            with self._table.row(at) as row:
                row[self._worker] = 0

    def enter(self, tenant: Tenant | None, size: int) -> Admission | None:
        """Count a request with a body of ``size`` bytes; None if nothing limits it.

        Raises LimitError (429) with the seconds to wait.
        """
        if tenant is None or (limits := tenant.settings.limits) is None:
            return None
        charged = size // _BYTES
        now = self._clock()
        at = self._rows[tenant.name]
        with self._table.row(at) as row:
            found = _States(limits, row, now)
            found.check(charged)
            found.take(charged)
            row[self._worker] += 1
            return Admission(at, limits, charged, found.headers())

    def leave(self, admission: Admission, tokens: int | None) -> None:
        """The request is over, and had so many tokens if anybody has counted them."""
        bucket = _bucket(admission.limits.tpm)
        with self._table.row(admission.row) as row:
            row[self._worker] = max(0.0, row[self._worker] - 1)
            if bucket and tokens is not None:
                more = tokens - admission.charged
                row[_TOKENS] = bucket.take(row[_TOKENS], self._clock(), more)


class _States:
    """One tenant's row under its limits, for as long as it is locked."""

    def __init__(self, limits: Limits, row: memoryview[float], now: float) -> None:
        self._limits, self._row, self._now = limits, row, now
        found = {"requests": (limits.rpm, _REQUESTS), "tokens": (limits.tpm, _TOKENS)}
        self._buckets = {
            name: (Bucket(limit), column) for name, (limit, column) in found.items() if limit
        }

    def check(self, tokens: int) -> None:
        """Raises LimitError if one of the limits is reached."""
        parallel = self._limits.max_parallel
        if parallel is not None and sum(self._row[_UNDER_WAY:]) >= parallel:
            raise LimitError(
                f"This key may have {parallel} requests under way at once, and has; wait for one "
                "of them to end.",
                headers=self.headers(),
                retry_after=1,
            )
        for name, (bucket, column) in self._buckets.items():
            # What is more than the limit goes through once all of it is there, and leaves a debt.
            amount = 1 if name == "requests" else min(tokens, bucket.limit)
            if wait := bucket.wait(self._row[column], self._now, amount):
                raise LimitError(
                    f"This key's limit of {bucket.limit:,} {name} per minute is reached; try "
                    f"again in {_seconds(wait)} s.",
                    headers=self.headers(),
                    retry_after=_seconds(wait),
                )

    def take(self, tokens: int) -> None:
        """One request with so many tokens."""
        for name, (bucket, column) in self._buckets.items():
            amount = 1 if name == "requests" else tokens
            self._row[column] = bucket.take(self._row[column], self._now, amount)

    def headers(self) -> Headers:
        """What is left, and the seconds until nothing of it is missing."""
        told: dict[str, str] = {}
        for name, (bucket, column) in self._buckets.items():
            full_at = self._row[column]
            told[f"limit-{name}"] = str(bucket.limit)
            told[f"remaining-{name}"] = str(bucket.left(full_at, self._now))
            told[f"reset-{name}"] = f"{_seconds(max(0.0, full_at - self._now))}s"
        return tuple((f"x-ratelimit-{k}".encode(), v.encode()) for k, v in told.items())


def _bucket(limit: int | None) -> Bucket | None:
    return Bucket(limit) if limit else None


def _seconds(wait: float) -> int:
    return math.ceil(wait - 1e-6)
