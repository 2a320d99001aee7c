"""The quality guard from a client's request to the raised rate, what it cost, and its reset."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.guarding import ask, compared, entry, guard
from tests.e2e.serving import Served, serving, until
from tests.e2e.texts import MEETING
from tests.servers.recorder import Recorded, Recorder, Reply

ORIGINAL = "Hall C lost its cooling and the loss was forty-seven thousand dollars."
OTHER = "Nobody knows."
SEES = json.dumps(MEETING)[1:-1].encode()
GUARD = {"sample": "100%", "min_samples": 3, "cooldown_s": 0, "step": 0.2, "ceiling": 0.7}


def says(request: Recorded) -> Reply:
    """One thing to the original, another to what was compressed, and a judge's word on both."""
    if b"How far do they say the same" in request.body:
        return Reply(content="9")
    if b'"steady"' in request.body or SEES in request.body:
        return Reply(content=ORIGINAL)
    return Reply(content=OTHER)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Recorder]:
    with Recorder() as running:
        running.usual = says
        yield running


NAMES = ("falls", "steady", "judged", "judge", "poor", "unseen")


@pytest.fixture(scope="module")
def config(upstream: Recorder, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("guard")
    guards: dict[str, dict[str, Any]] = {
        "falls": GUARD,
        "steady": GUARD,
        "judged": {**GUARD, "compare": "judge", "judge": "judge"},
        "poor": {**GUARD, "budget": {"calls_per_hour": 1}},
        "unseen": {**GUARD, "sample": 0},
    }
    return {
        "compressor": {"threads": 2},
        "ledger": {"store": "sqlite", "path": str(folder / "receipts.db")},
        "model_list": [entry(name, upstream) for name in NAMES],
        "policies": {"default": {"rate": 0.4, "min_tokens": 100, "deadline_ms": 60_000}},
        "routes": [
            {"match": {"model": name}, "policy": "default", "guard": guard}
            for name, guard in guards.items()
        ],
    }


@pytest.fixture(scope="module")
def server(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(config, tmp_path_factory.mktemp("guard_server")) as served:
        yield served


def test_answers_that_differ_raise_the_rate_and_a_reset_takes_it_back(
    server: Served, upstream: Recorder, config: dict[str, Any]
) -> None:
    first = [compared(server, ask(server, "falls", stream=at == 1)) for at in range(3)]
    assert [r["raised"] for r in first] == [0, 0, 0]
    assert first[0]["comparison"]["agreement"] < 0.2
    assert "guard raised the rate" in server.said("guard raised the rate")

    def raised() -> dict[str, Any] | None:
        found = ask(server, "falls")
        return found if found["raised"] else None

    after = until(raised)
    assert after is not None
    assert after["raised"] == 0.2 and after["rate_changed"]
    assert after["policy_fingerprint"] != first[0]["policy_fingerprint"]
    assert after["tokens_after"] > first[0]["tokens_after"]
    again = ask(server, "falls")
    hashes = [r["messages"][0]["sha256_after"] for r in (after, again)]
    assert hashes[0] == hashes[1]  # within one state a message has one form
    assert server.metric("precis_guard_changes_total", direction="raised") == 1
    until(lambda: server.metric("precis_guard_level", route="falls -> default") == 1)

    shown = guard(server, "show")
    assert "falls -> default" in shown and "60 %" in shown
    guard(server, "reset", "falls -> default")
    until(lambda: not ask(server, "falls")["raised"])


def test_a_comparison_is_paid_out_of_what_was_saved(server: Served, upstream: Recorder) -> None:
    found = compared(server, ask(server, "steady"))
    comparison, saved = found["comparison"], found["savings"]
    assert comparison == {
        "compare": "f1",
        "agreement": 1.0,
        "prompt_tokens": 11,
        "completion_tokens": 5,
        "usd": pytest.approx(11e-6 + 10e-6),
    }
    assert saved["net_tokens"] == saved["gross_tokens"] - 11
    assert saved["net_usd"] == pytest.approx(saved["gross_usd"] - 21e-6)
    assert server.metric("precis_guard_dollars_total", model="steady") == pytest.approx(21e-6)
    bodies = [r.json for r in upstream.requests if b'"steady"' in r.body]
    assert [b["messages"][0]["content"] == MEETING for b in bodies] == [False, True]
    assert {**bodies[0], "messages": 0} == {**bodies[1], "messages": 0}


def test_a_judge_compares_by_its_own_key_and_sees_no_header_of_the_clients(
    server: Served, upstream: Recorder
) -> None:
    found = compared(server, ask(server, "judged", extra_headers={"x-mine": "secret"}))
    assert found["comparison"]["agreement"] == 0.9
    assert found["comparison"]["prompt_tokens"] == 22
    (asked,) = [r for r in upstream.requests if b'"judge"' in r.body]
    assert asked.header("authorization") == "Bearer sk-judge"
    assert asked.header("x-mine") is None
    assert ORIGINAL.encode() in asked.body and OTHER.encode() in asked.body
    assert MEETING[:200].encode() not in asked.body


def test_no_more_is_compared_than_the_budget_has(server: Served, upstream: Recorder) -> None:
    for _ in range(3):
        ask(server, "poor")
    counted = {"route": "poor -> default"}
    name = "precis_guard_comparisons_total"
    until(lambda: server.metric(name, result="over budget", **counted) == 2)
    until(lambda: server.metric(name, result="compared", **counted) == 1)
    assert sum(b'"poor"' in r.body for r in upstream.requests) == 4


@pytest.mark.parametrize(
    "model,more",
    [
        ("unseen", {}),
        ("steady", {"n": 2}),
        ("steady", {"store": True}),
        ("steady", {"extra_body": {"tools": [{"type": "web_search"}]}}),
        ("steady", {"extra_headers": {"x-precis-bypass": "true"}}),
        ("steady", {"extra_headers": {"x-precis-rate": "0.6"}}),
    ],
)
def test_some_requests_are_never_sent_twice(
    server: Served, upstream: Recorder, model: str, more: dict[str, Any]
) -> None:
    upstream.requests.clear()
    ask(server, model, **more)
    compared(server, ask(server, "judged"))  # by then the other would have come, too
    assert sum(f'"{model}"'.encode() in r.body for r in upstream.requests) == 1


def test_a_failed_comparison_reaches_nobody(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(content=ORIGINAL), Reply(status=400)])
    found = compared(server, ask(server, "steady"))
    assert (found["status"], found["comparison"]["agreement"]) == (200, None)
    assert server.metric("precis_guard_comparisons_total", result="failed") == 1


def test_neither_log_nor_files_hold_what_was_said(server: Served, config: dict[str, Any]) -> None:
    folder = Path(config["ledger"]["path"]).parent
    # SQLite's journals beside them come and go.
    files = [folder / "receipts.db", folder / "receipts.guard.sqlite"]
    kept = server.log.read_bytes() + b"".join(file.read_bytes() for file in files)
    for words in (ORIGINAL, OTHER, MEETING[:60]):
        assert words.encode() not in kept
