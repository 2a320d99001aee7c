"""Keys of tenants: made from 256 random bits, kept only as their SHA-256."""

from __future__ import annotations

import hashlib
import hmac
import secrets


def hash_of(key: str) -> str:
    """``sha256:`` and 64 hex digits, as config.yaml holds it.

    One unsalted round is enough because a key is 256 random bits: there is nothing to guess.
    """
    return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def new_key() -> tuple[str, str]:
    """A new key, ``precis-`` and 43 URL-safe characters, and its hash for the configuration."""
    key = "precis-" + secrets.token_urlsafe(32)
    return key, hash_of(key)


def fits(authorization: str | None, hashed: str) -> bool:
    """Whether ``Authorization: Bearer KEY`` has the key of that hash; in constant time."""
    scheme, _, key = (authorization or "").strip().partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(hash_of(key.strip()), hashed)
