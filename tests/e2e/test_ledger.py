"""Receipts in a file: whatever worker is asked, and after the server has stopped."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import httpx

from tests.e2e.serving import COMMAND, ROOT, Served, serving
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


def test_a_receipt_is_replayed_from_a_running_server(server: Served, tmp_path: Path) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": REPORT}]}
    answer = server.post(body)
    (tmp_path / "body.json").write_text(json.dumps(body))
    (tmp_path / "config.yaml").write_text("policies: {other: {}}\n")
    options = {"url": server.url, "messages": "body.json", "config": "config.yaml"}
    command = [*COMMAND, "replay", answer.headers["x-precis-request-id"], "--out", "sent.json"]
    done = subprocess.run(
        [*command, *(word for name, value in options.items() for word in (f"--{name}", value))],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "All is as the receipt says" in done.stdout
    sent = json.loads((tmp_path / "sent.json").read_bytes())
    assert sent == answer.json()["echo"]
