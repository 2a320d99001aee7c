"""The way to the model's provider: one call out, one answer back, as bytes."""

from proxy.upstream.call import Answer, Call, Provider, Timeouts
from proxy.upstream.pool import Pool

__all__ = ["Answer", "Call", "Pool", "Provider", "Timeouts"]
