"""Guarded models as a client and an operator see them: requests, receipts, ``precis guard``."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import httpx

from tests.e2e.serving import COMMAND, ROOT, Served, until
from tests.e2e.texts import MEETING
from tests.servers.recorder import Recorder

PRICES = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}


def entry(name: str, upstream: Recorder) -> dict[str, Any]:
    params = {"model": f"openai/{name}", "api_base": upstream.url, "api_key": f"sk-{name}"}
    return {"model_name": name, "litellm_params": params, "model_info": PRICES}


def ask(server: Served, model: str, *, stream: bool = False, **more: Any) -> dict[str, Any]:
    """A question by the real client; its receipt."""
    messages: Any = more.pop("messages", [{"role": "user", "content": MEETING}])
    with server.client() as client:
        chat = client.chat.completions.with_raw_response
        answer: Any = chat.create(model=model, messages=messages, stream=stream, **more)
        if stream:
            assert "".join(c.choices[0].delta.content or "" for c in answer.parse() if c.choices)
    return {"id": answer.headers["x-precis-request-id"], **receipt(server, answer.headers)}


def receipt(server: Served, headers: Any) -> dict[str, Any]:
    """The receipt, which another worker than the one that is asked may be about to write."""

    def look() -> dict[str, Any] | None:
        url = f"{server.url}/receipts/{headers['x-precis-request-id']}"
        answer = httpx.get(url, verify=False)
        return answer.json() if answer.status_code == 200 else None

    found = until(look)
    assert found is not None
    return found


def compared(server: Served, asked: dict[str, Any]) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = receipt(server, {"x-precis-request-id": asked["id"]})
        return found if found["comparison"] else None

    found = until(look)
    assert found is not None
    return found


def guard(server: Served, *words: str) -> str:
    """``precis guard`` beside the running server."""
    return precis(server, "guard", *words)


def precis(server: Served, *words: str) -> str:
    """A command with the running server's configuration; what it prints."""
    command = [*COMMAND, *words, "--config", str(server.log.parent / "config.yaml")]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=environ(server), check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def environ(server: Served) -> dict[str, str]:
    return {**os.environ, "XDG_CACHE_HOME": str(server.log.parent), "COLUMNS": "200"}
