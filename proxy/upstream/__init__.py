"""The way to the model's provider: one call out, one answer back, as bytes."""

from proxy.upstream.call import Answer, Call, Provider, Timeouts
from proxy.upstream.pool import Pool
from proxy.upstream.too_long import TooLong, refused_as_too_long

__all__ = ["Answer", "Call", "Pool", "Provider", "Timeouts", "TooLong", "refused_as_too_long"]
