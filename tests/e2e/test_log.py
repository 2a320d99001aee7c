"""What the log tells of a request, and what it must never tell, at its lowest level."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.e2e.conftest import KEYS, PROVIDER_KEY
from tests.e2e.serving import Served
from tests.e2e.texts import MEETING
from tests.servers.recorder import Recorder, Reply

CANARY = "cormorantquillwort"
KEY = "sk-canary-of-the-client"


def test_one_line_tells_of_a_request(server: Served, upstream: Recorder) -> None:
    text = MEETING + "\n\nThis one was not met before."
    answer = server.post({"model": "m", "messages": [{"role": "user", "content": text}]})
    number = answer.headers["x-precis-request-id"]
    log = server.said(number)
    lines = [json.loads(line) for line in log.splitlines() if number in line]
    assert len(lines) == 1
    assert (
        lines[0].items()
        >= {
            "event": "request",
            "id": number,
            "status": 200,
            "decision": "compressed",
            "whole": True,
            "tokens_before": int(answer.headers["x-precis-tokens-before"]),
        }.items()
    )
    assert lines[0]["cache"] == answer.headers["x-precis-cache"]
    assert {"tokenize_ms", "score_ms", "select_ms", "overhead_ms"} <= lines[0].keys()


def test_an_errors_id_is_in_the_log(server: Served) -> None:
    number = server.post(b"{").headers["x-precis-request-id"]
    assert '"invalid_json"' in next(
        line for line in server.said(number).splitlines() if number in line
    )


def body(model: str, **more: Any) -> dict[str, Any]:
    text = f"{CANARY} {MEETING[:1500]} {CANARY}"
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def test_no_prompt_and_no_key_is_ever_logged(server: Served, upstream: Recorder) -> None:
    secret = {"authorization": f"Bearer {KEY}", "x-precis-rate": "0.7"}
    models = "m plain strict hasty once nowhere rescued claude echo".split()
    for model in models:
        server.post(body(model), headers=secret)
        for reply in (Reply(status=400, body=CANARY), Reply(raw=b"junk"), Reply(cut_after=1)):
            upstream.script([reply] * 3)
            try:
                server.post(body(model, stream=True), headers=secret)
            except httpx.RemoteProtocolError:
                assert reply.cut_after  # and the log tells of it, but not of the prompt
        upstream.script([])
    wrong = json.dumps(body("m")).encode()
    for bad in (wrong[:-5], wrong.replace(b'"user"', b"7"), wrong + wrong, b"\xff" + wrong):
        assert server.post(bad, headers=secret).status_code == 400
        server.post(bad, "/compress", headers=secret)
        server.post(bad, "/embeddings", headers=secret)
    server.post(body("m", x="y" * 3_000_000), headers=secret)
    server.post(body("m"), "/compress", headers=secret)
    server.post(body("m"), f"/files?{CANARY}", headers=secret | {"x-any": CANARY})
    last = server.post(body(CANARY), headers=secret).headers["x-precis-request-id"]
    log = server.said(last)
    for secret_text in (CANARY, KEY, PROVIDER_KEY, "sk-first", "Tom Becker"):
        assert secret_text not in log


def test_no_tenants_key_is_ever_logged(shared: Served, upstream: Recorder) -> None:
    for name, key in KEYS.items():
        for headers in ({"authorization": f"Bearer {key}"}, {"api-key": key}):
            shared.post(body("m"), headers=headers)
            shared.post(body("none"), headers=headers)
            shared.post(body("m"), headers={n: v + "x" for n, v in headers.items()})
        last = shared.post(body("m"), headers={"api-key": key}).headers["x-precis-request-id"]
        log = shared.said(last)
        assert key not in log and CANARY not in log and f'"{name}"' in log
