from __future__ import annotations

from starlette.testclient import TestClient

from proxy.app import build
from proxy.config import Config
from proxy.config_policy import NamedPolicy
from proxy.config_routes import RouteSettings
from proxy.config_tenants import TenantSettings
from proxy.tenants import new_key
from tests.compress.readers import fake

BODY = {"model": "m", "messages": [{"role": "user", "content": "the word of a number is on " * 99}]}


def test_without_a_policy_the_tokens_are_still_counted() -> None:
    with TestClient(build(Config(), fake())) as client:
        answer = client.post("/v1/compress", json=BODY).json()
    assert answer["tokens_before"] == answer["tokens_after"] > 600
    assert (answer["tokens_saved"], answer["compression_ratio"]) == (0, 1.0)


def test_in_shadow_mode_the_numbers_are_those_of_the_messages_sent_back() -> None:
    key, hashed = new_key()
    config = Config(
        policies={"p": NamedPolicy()},
        routes=(RouteSettings(policy="p"),),
        tenants={"t": TenantSettings(keys=(hashed,), mode="shadow")},
    )
    with TestClient(build(config, fake())) as client:
        got = client.post("/v1/compress", json=BODY, headers={"authorization": f"Bearer {key}"})
    answer = got.json()
    assert got.headers["x-precis-decision"] == "shadow"
    assert answer["messages"] == BODY["messages"]
    assert (answer["tokens_saved"], answer["transforms_applied"]) == (0, [])
