"""Two server processes for all tests of this folder, and the upstreams behind them.

``server`` has no tenants and many models that misbehave or are treated in special ways;
``shared`` has tenants. Both log at the lowest level.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from proxy.tenants.keys import hash_of
from tests.e2e.gated import Gated
from tests.e2e.serving import Served, serving
from tests.servers.recorder import Recorder

PROVIDER_KEY = "sk-provider-of-acme-and-globex"
KEYS = {name: f"precis-key-of-{name}" for name in ("acme", "globex", "quiet", "silent")}


@pytest.fixture(scope="session")
def recorder() -> Iterator[Recorder]:
    with Recorder() as running:
        yield running


@pytest.fixture
def upstream(recorder: Recorder) -> Recorder:
    """The recording upstream, as if nobody had called it yet."""
    recorder.requests.clear()
    recorder.script([])
    return recorder


@pytest.fixture(scope="session")
def gated() -> Iterator[Gated]:
    with Gated() as running:
        yield running


def entry(name: str, base: str, model: str = "openai/real-model", **params: Any) -> dict[str, Any]:
    return {
        "model_name": name,
        "litellm_params": {"model": model, "api_base": base, **params},
    }


@pytest.fixture(scope="session")
def server(
    recorder: Recorder, gated: Gated, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    base = recorder.url
    nobody = "http://127.0.0.1:9/v1"
    config: dict[str, Any] = {
        "server": {"log_level": "debug", "max_body_mb": 2},
        "compressor": {"threads": 2},
        "model_list": [
            entry("m", base),
            entry("plain", base),
            entry("strict", base),
            entry("hasty", base),
            entry("patient", base),
            entry("retried", base, max_retries=2),
            entry("once", base, max_retries=0),
            entry("slow", base, timeout=0.3, max_retries=0),
            entry("gated", gated.url),
            entry("nowhere", nobody, max_retries=0),
            entry("rescued", nobody, max_retries=0),
            entry("pair", base, "openai/first", api_key="sk-first"),
            entry("pair", base, "openai/second", api_key="sk-second"),
            entry("keyed", base, api_key=PROVIDER_KEY, temperature=0.25),
            entry("claude", base.removesuffix("/v1"), "anthropic/claude-x", api_key=PROVIDER_KEY),
            entry("claude-keyless", base, "anthropic/claude-x"),
            entry("claude-nowhere", nobody, "anthropic/claude-x", api_key="k", max_retries=0),
            entry("azure", base, "azure/x", api_key=PROVIDER_KEY, api_version="2024-10-21"),
            entry("many/*", base, "openai/*"),
            {"model_name": "echo", "litellm_params": {"model": "echo"}},
        ],
        "router_settings": {"retry_after": 0.01, "fallbacks": [{"rescued": ["keyed"]}]},
        "policies": {
            # Much is compressed within the deadline, however busy the machine is.
            "default": {"rate": 0.5, "min_tokens": 100, "deadline_ms": 60_000},
            "strict": {"extends": "default", "deadline_ms": 1, "on_error": "fail"},
            "hasty": {"extends": "default", "deadline_ms": 1},
            "hard": {"extends": "default", "rate": 0.3},
            "ruled": {
                "extends": "default",
                "obey_tags": ["system", "user"],
                "json_paths": {
                    "$.items[*].body": {"rate": 0.25},
                    "$..description": {"compress": False},
                },
            },
        },
        "routes": [
            {"match": {"model": "strict"}, "policy": "strict"},
            {"match": {"model": "hasty"}, "policy": "hasty"},
            *({"match": {"model": name}, "policy": "default"} for name in MATCHED),
        ],
    }
    with serving(config, tmp_path_factory.mktemp("server")) as served:
        yield served


MATCHED = ("m", "echo", "gated", "keyed", "claude", "patient", "many/*", "nowhere", "once")


@pytest.fixture(scope="session")
def shared(recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    def tenant(name: str, **settings: Any) -> dict[str, Any]:
        return {"keys": [hash_of(KEYS[name])], **settings}

    config: dict[str, Any] = {
        "server": {"log_level": "debug"},
        "model_list": [
            entry("m", recorder.url, api_key=PROVIDER_KEY),
            entry("keyless", recorder.url),
            entry("other", recorder.url, api_key=PROVIDER_KEY),
            entry("claude", recorder.url, "anthropic/claude-x", api_key=PROVIDER_KEY),
        ],
        "policies": {
            "default": {"rate": 0.5, "min_tokens": 100, "deadline_ms": 60_000},
            "hard": {"extends": "default", "rate": 0.3},
        },
        "routes": [{"match": {"model": "*"}, "policy": "default"}],
        "tenants": {
            "acme": tenant("acme", policy={"rate": 0.8, "force_tokens": ["forklift"]}),
            "globex": tenant(
                "globex",
                models=["m", "key*"],
                allow={"bypass": False, "policies": ["default"], "rate": "none"},
            ),
            "quiet": tenant("quiet", mode="shadow"),
            "silent": tenant("silent", mode="off", allow={"rate": "any"}),
        },
    }
    with serving(config, tmp_path_factory.mktemp("shared")) as served:
        yield served
