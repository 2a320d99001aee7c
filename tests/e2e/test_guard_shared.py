"""The guard of several workers, over a restart, and what a raised rate costs and reproduces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.guarding import ask, compared, entry, guard, precis
from tests.e2e.serving import Served, serving, until
from tests.e2e.texts import MEETING
from tests.servers.recorder import Recorded, Recorder, Reply

GUARD = {
    **{"sample": "100%", "min_samples": 3, "cooldown_s": 0, "step": 0.2, "ceiling": 0.7},
    **{"floor": 0.7, "margin": 0.2, "budget": {"calls_per_hour": 10_000}},
}
ROUTE = "m -> default"
QUESTION: dict[str, Any] = {"role": "user", "content": MEETING}
MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "You know about this meeting."},
    QUESTION,
    {"role": "assistant", "content": MEETING},
    {"role": "user", "content": "Which hall lost its cooling?"},
]


class Provider:
    """Has a cache of whole messages, 4 bytes a token, and an answer to what was compressed."""

    good = "It was hall C, and it cost too much."
    """As to the original, but for words that leave agreement above the floor, within the margin."""
    bad = "Unknown."

    def __init__(self) -> None:
        self.cached: set[str] = set()
        self.says = self.good

    def __call__(self, request: Recorded) -> Reply:
        seen = [json.dumps(m) for m in request.json["messages"]]
        starts = ["\n".join(seen[:end]) for end in range(1, len(seen) + 1)]
        hit = max((len(start) for start in starts if start in self.cached), default=0)
        self.cached.update(starts)
        usage = {
            "prompt_tokens": len(starts[-1]) // 4,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": hit // 4},
        }
        whole = QUESTION in request.json["messages"]
        said = "It was hall C, and it cost a lot." if whole else self.says
        choice = {"index": 0, "message": {"role": "assistant", "content": said}}
        return Reply(body={"choices": [choice], "usage": usage})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guard_shared")


@pytest.fixture(scope="module")
def provider() -> Provider:
    return Provider()


@pytest.fixture(scope="module")
def config(folder: Path, provider: Provider) -> Iterator[dict[str, Any]]:
    with Recorder() as upstream:
        upstream.usual = provider
        yield {
            "server": {"workers": 2},
            "compressor": {"threads": 1},
            "ledger": {"store": "sqlite", "path": str(folder / "receipts.db")},
            "model_list": [entry("m", upstream)],
            "policies": {"default": {"rate": 0.4, "min_tokens": 100, "deadline_ms": 60_000}},
            "routes": [{"match": {"model": "m"}, "policy": "default", "guard": GUARD}],
        }


def ask_often(server: Served, times: int) -> list[dict[str, Any]]:
    """Many at once, each on a connection of its own, so that all workers take some."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: ask(server, "m"), range(times)))


def forms(receipts: list[dict[str, Any]]) -> set[str]:
    return {receipt["messages"][0]["sha256_after"] for receipt in receipts}


def test_workers_raise_as_one_and_a_restart_goes_on_where_they_were(
    config: dict[str, Any], folder: Path, provider: Provider
) -> None:
    with serving(config, folder) as server:
        server.said("all workers are ready")
        first = compared(server, ask(server, "m", messages=MESSAGES))
        provider.says = provider.bad
        before = ask_often(server, 8)
        assert {r["raised"] for r in before} == {0}
        server.said("guard raised the rate")
        provider.says = provider.good
        server.said("guard follows")  # by the other worker, before the change takes effect
        assert not ask(server, "m")["raised"]
        until(lambda: ask(server, "m")["raised"])
        raised = ask_often(server, 16)
        assert {r["raised"] for r in raised} == {0.2}
        assert len(forms(raised)) == 1 and not forms(raised) & forms(before)
        told = guard(server, "show")
        assert ROUTE in told and "60 %" in told

        again = compared(server, ask(server, "m", messages=MESSAGES))
        broken_prefix_is_paid_for(first, again)
        later = compared(server, ask(server, "m", messages=MESSAGES))
        assert later["rate_changed"]
        assert net_loss(later) == 0  # by now the new prefix is cached
        the_bytes_are_found_again(server, folder, raised[0]["id"])

    with serving(config, folder) as server:
        server.said("all workers are ready")
        assert forms(ask_often(server, 8)) == forms(raised)
        provider.says = provider.bad
        until(lambda: ask(server, "m")["raised"] == 0.4)
        provider.says = provider.good
        top = ask_often(server, 8)
        assert {r["raised"] for r in top} == {0.4}
        assert len(forms(top)) == 1
        assert "70 %" in guard(server, "show")  # as far as the ceiling lets it
        the_bytes_are_found_again(server, folder, top[0]["id"])
        the_bytes_are_found_again(server, folder, raised[0]["id"])  # of before the restart
        guard(server, "reset")
        until(lambda: not ask(server, "m")["raised"])
        assert forms(ask_often(server, 8)) == forms(before)


def net_loss(receipt: dict[str, Any]) -> int:
    """What was taken off the net saving beside what was cached anyway and the comparison."""
    saved, usage = receipt["savings"], receipt["usage"]
    texts = receipt["messages"]
    left = usage["cached_tokens"] / usage["prompt_tokens"] * sum(m["tokens_after"] for m in texts)
    anyway = 0.0
    for text in texts:
        covered = min(left, text["tokens_after"])
        left -= covered
        share = covered / text["tokens_after"]
        anyway += share * (text["tokens_before"] - text["tokens_after"])
    compared_with = receipt["comparison"]["prompt_tokens"]
    loss: int = saved["gross_tokens"] - round(anyway) - compared_with - saved["net_tokens"]
    return loss


def broken_prefix_is_paid_for(first: dict[str, Any], again: dict[str, Any]) -> None:
    """The conversation's next turn after the change: the cache has nothing of its new form."""
    assert (first["rate_changed"], again["rate_changed"]) == (False, True)
    assert again["usage"]["cached_tokens"] < 1024
    prefix = sum(text["tokens_after"] for text in again["messages"][:3])
    assert net_loss(again) == prefix - again["usage"]["cached_tokens"] > 1024
    saved = again["savings"]
    assert saved["net_usd"] < saved["gross_usd"]


def the_bytes_are_found_again(server: Served, folder: Path, receipt: str) -> None:
    body = folder / "body.json"
    body.write_text(json.dumps({"model": "m", "messages": [QUESTION]}))
    where = ("--url", server.url, "--messages", str(body), "--out", str(folder / "sent.json"))
    told = precis(server, "replay", receipt, *where)
    assert "All is as the receipt says" in told
    assert told.count("matches") == 2  # by its mask, and compressed once more
    sent = json.loads((folder / "sent.json").read_bytes())["messages"][0]["content"]
    assert 0.5 * len(MEETING) < len(sent) < 0.9 * len(MEETING)
