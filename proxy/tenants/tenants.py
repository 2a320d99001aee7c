"""Find the tenant that a key belongs to. Holds hashes of keys and never a key."""

from __future__ import annotations

import hmac
from collections.abc import Iterator

from proxy.config import Config
from proxy.config_tenants import Tenant
from proxy.errors import Unauthorized
from proxy.tenants.keys import hash_of


class Tenants:
    """All tenants of a configuration, by the hashes of their keys."""

    def __init__(self, config: Config) -> None:
        self._by_hash: dict[str, tuple[str, Tenant]] = {}
        self._any = bool(config.tenants)
        for name, settings in config.tenants.items():
            tenant = Tenant(name, settings)
            self._by_hash |= {stored: (stored, tenant) for stored in settings.keys}

    def authenticate(self, authorization: str | None, *api_keys: str | None) -> Tenant | None:
        """The tenant of ``Authorization: Bearer KEY`` or else of other headers' values.

        ``api_keys``: what Azure's clients send as ``api-key`` and Anthropic's as ``x-api-key``.

        None if no tenants are configured. Raises Unauthorized (401), which never has the key.
        """
        if not self._any:
            return None
        given = False
        for key in _keys(authorization, api_keys):
            given = True
            tenant = self._find(key)
            if tenant is not None:
                return tenant
        raise _unauthorized(given)

    def _find(self, key: str) -> Tenant | None:
        """Look the key up in constant time, as far as a caller could use the difference.

        A dictionary is found by the digest's hash, and how long that takes depends on the
        digest alone. To learn from it a caller would have to choose digests, that is to invert
        SHA-256. The comparison that decides is ``compare_digest``, and an unknown key is
        compared too.
        """
        digest = hash_of(key)
        stored, tenant = self._by_hash.get(digest, ("", None))
        return tenant if hmac.compare_digest(stored, digest) else None


def _keys(authorization: str | None, api_keys: tuple[str | None, ...]) -> Iterator[str]:
    scheme, _, credentials = (authorization or "").strip().partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        yield credentials.strip()
    yield from (key.strip() for key in api_keys if key and key.strip())


def _unauthorized(given: bool) -> Unauthorized:
    if given:
        return Unauthorized(
            "Incorrect API key. This server has keys of its own; a provider's key is not one "
            "of them. Ask whoever runs it for a key."
        )
    return Unauthorized(
        "No API key given. Send one as 'Authorization: Bearer KEY'; "
        "whoever runs this server makes it with 'precis keys new'.",
        code="missing_api_key",
    )
