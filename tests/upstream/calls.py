"""Calls and entries as the tests of this folder need them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from proxy.config_upstreams import ModelEntry, RouterSettings
from proxy.upstream import Call, Pool


def entry(name: str = "m", model: str = "openai/real", **params: Any) -> ModelEntry:
    return ModelEntry.model_validate(
        {"model_name": name, "litellm_params": {"model": model, **params}}
    )


def chat(model: str = "m", *, stream: bool = False, **fields: Any) -> Call:
    """A chat completion that renders itself, as the api layer's do."""
    asked = {
        "model": model,
        "messages": [{"role": "user", "content": "Tell me."}],
        **({"stream": True} if stream else {}),
        **fields,
    }

    def render(model_id: str, defaults: Mapping[str, Any]) -> bytes:
        return json.dumps({**defaults, **asked, "model": model_id}).encode()

    body = json.dumps(asked).encode()
    headers = (("Content-Type", "application/json"), ("Authorization", "Bearer client-key"))
    return Call("POST", "/chat/completions", "", headers, body, model, stream, render)


def get(path: str, model: str = "", **changes: Any) -> Call:
    """A call of any path, forwarded as it is."""
    fields = {"method": "GET", "query": "", "headers": (), "body": b"", "stream": False}
    return Call(path=path, model=model, **{**fields, **changes})


@asynccontextmanager
async def pool(*entries: ModelEntry, **settings: Any) -> AsyncIterator[Pool]:
    """A pool that hardly waits between tries."""
    settings = {"retry_after": 0.01, "timeout": 30, **settings}
    made = Pool(entries, RouterSettings.model_validate(settings))
    try:
        yield made
    finally:
        await made.aclose()
