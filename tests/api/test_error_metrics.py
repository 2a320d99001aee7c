from __future__ import annotations

from starlette.testclient import TestClient

from proxy.app import build
from proxy.config import Config
from proxy.config_server import Server
from proxy.tenants import new_key
from tests.compress.readers import fake


def test_errors_are_counted_by_their_code() -> None:
    with TestClient(build(Config(), fake())) as client:
        client.get("/nothing/here")
        client.post("/v1/chat/completions", content=b"{")
        text = client.get("/metrics").text
    assert 'precis_errors_total{code="unknown_url"} 1.0' in text
    assert 'precis_errors_total{code="invalid_json"} 1.0' in text


def test_a_path_with_empty_or_dotted_segments_is_not_passed_on() -> None:
    with TestClient(build(Config(), fake())) as client:
        for path in ("/v1//chat/completions", "/v1/%2E/chat/completions", "/v1/a/%2e%2e/files"):
            answer = client.post(path, content=b"{}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_url")


def test_metrics_may_need_a_key_of_their_own() -> None:
    key, hashed = new_key()
    config = Config(server=Server(metrics_key=hashed))
    with TestClient(build(config, fake())) as client:
        codes = [
            client.get("/metrics", headers={"authorization": given}).status_code
            for given in ("", key, "Bearer x", f"Basic {key}", f"Bearer {key}")
        ]
        refused = client.get("/metrics").json()["error"]
    assert codes == [401, 401, 401, 401, 200]
    assert refused["code"] == "invalid_metrics_key"
    assert hashed not in repr(config)
