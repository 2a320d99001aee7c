"""Receipts in a file: whatever worker is asked, and after the server has stopped."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.e2e.serving import serving
from tests.e2e.texts import REPORT


def test_the_last_receipts_are_written_when_the_server_stops(tmp_path: Path) -> None:
    config = {
        "ledger": {"store": "sqlite", "path": str(tmp_path / "receipts.db")},
        "model_list": [{"model_name": "echo", "litellm_params": {"model": "echo"}}],
        "policies": {"default": {"min_tokens": 100, "deadline_ms": 60_000}},
        "routes": [{"policy": "default"}],
    }
    with serving(config, tmp_path) as first:
        body = {"model": "echo", "messages": [{"role": "user", "content": REPORT}]}
        answers = [first.post(body) for _ in range(3)]
    with serving(config, tmp_path) as second:
        for answer in answers:
            number = answer.headers["x-precis-request-id"]
            receipt = httpx.get(f"{second.url}/receipts/{number}").json()
            assert (receipt["id"], receipt["decision"]) == (number, "compressed")
            assert receipt["messages"][0]["kept"]
