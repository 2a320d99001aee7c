"""Keys find their tenant, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import Config
from proxy.errors import Unauthorized
from proxy.tenants import Tenant, Tenants, new_key


def two_tenants() -> tuple[Tenants, str, str]:
    (acme_key, acme_hash), (other_key, other_hash) = new_key(), new_key()
    tenants = {"acme": {"keys": [acme_hash]}, "other": {"keys": [other_hash]}}
    return Tenants(Config.model_validate({"tenants": tenants})), acme_key, other_key


def name(tenant: Tenant | None) -> str:
    assert tenant is not None
    return tenant.name


def test_each_key_finds_its_own_tenant() -> None:
    tenants, acme, other = two_tenants()
    assert name(tenants.authenticate(f"Bearer {acme}")) == "acme"
    assert name(tenants.authenticate(f"bearer   {other} ")) == "other"


def test_a_tenant_may_have_several_keys() -> None:
    (first, first_hash), (second, second_hash) = new_key(), new_key()
    config = Config.model_validate({"tenants": {"acme": {"keys": [first_hash, second_hash]}}})
    for key in (first, second):
        assert name(Tenants(config).authenticate(f"Bearer {key}")) == "acme"


def test_the_api_key_header_counts_where_authorization_has_no_known_key() -> None:
    tenants, acme, _ = two_tenants()
    assert name(tenants.authenticate(None, acme)) == "acme"
    assert name(tenants.authenticate("Bearer sk-somebody-elses", acme)) == "acme"
    assert name(tenants.authenticate("Basic dTpw", acme)) == "acme"


def test_without_tenants_nobody_is_asked() -> None:
    tenants = Tenants(Config())
    assert tenants.authenticate(None) is None
    assert tenants.authenticate("Bearer sk-mine", "sk-mine") is None


def test_tenants_without_any_key_let_nobody_in() -> None:
    tenants = Tenants(Config.model_validate({"tenants": {"acme": {}}}))
    with pytest.raises(Unauthorized):
        tenants.authenticate("Bearer x")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic dTpw"])
def test_no_key_is_told_apart_from_a_wrong_one(header: str | None) -> None:
    tenants, _, _ = two_tenants()
    with pytest.raises(Unauthorized) as caught:
        tenants.authenticate(header)
    assert caught.value.code == "missing_api_key"


def test_a_hash_is_no_key() -> None:
    key, hashed = new_key()
    tenants = Tenants(Config.model_validate({"tenants": {"acme": {"keys": [hashed]}}}))
    assert name(tenants.authenticate(f"Bearer {key}")) == "acme"
    with pytest.raises(Unauthorized):
        tenants.authenticate(f"Bearer {hashed}")


@given(st.text(min_size=8))
def test_no_other_text_gets_in_and_none_is_echoed(text: str) -> None:
    tenants, _, _ = two_tenants()
    with pytest.raises(Unauthorized) as caught:
        tenants.authenticate(f"Bearer {text}", text)
    assert caught.value.status == 401
    assert text.strip() == "" or text not in caught.value.message


def test_a_lone_surrogate_in_a_key_is_just_a_wrong_key() -> None:
    tenants, _, _ = two_tenants()
    with pytest.raises(Unauthorized):
        tenants.authenticate("Bearer \ud800")


def test_a_tenant_shows_no_key_hash() -> None:
    key, hashed = new_key()
    tenants = Tenants(Config.model_validate({"tenants": {"acme": {"keys": [hashed]}}}))
    assert hashed not in repr(tenants.authenticate(f"Bearer {key}"))
