"""New keys: their form, their hash, and that no two are alike."""

from __future__ import annotations

import hashlib
import re

from proxy.tenants import new_key


def test_a_key_is_a_prefix_and_43_url_safe_characters() -> None:
    assert re.fullmatch(r"precis-[A-Za-z0-9_-]{43}", new_key()[0])


def test_the_line_is_the_keys_sha256() -> None:
    key, line = new_key()
    assert line == "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def test_no_two_keys_are_alike() -> None:
    assert len({new_key()[0] for _ in range(1000)}) == 1000
