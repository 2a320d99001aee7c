"""The quality guard: compares answers with and without compression, and raises rates that cost."""

from proxy.guard.keeper import Keeper
from proxy.guard.store import open_store

__all__ = ["Keeper", "open_store"]
